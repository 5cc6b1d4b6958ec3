"""Speech to send: clips with their truth, and how they become packets of one codec or another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from bench.truth.words import Truth, beckett_truth, joined, two_cities_truth
from captions.cli.audio_file import blocks
from captions.stream.codec import CodecName
from captions.stream.opus import OPUS_CLOCK, OpusEncoder
from captions.types import Pcm

__all__ = ["CLIP_RATE", "PACKET_S", "AudioFormat", "Clip", "beckett", "packets_of", "read_pcm", "two_cities"]

CLIP_RATE = 48_000
PACKET_S = 0.02


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What goes over the wire. Opus packets are RFC 6716's, whose clock is 48,000 (RFC 7587)."""

    codec: CodecName = "opus"
    sample_rate: int = OPUS_CLOCK
    packet_s: float = PACKET_S

    @property
    def packet_samples(self) -> int:
        return round(self.sample_rate * self.packet_s)


@dataclass(frozen=True, slots=True)
class Clip:
    """Mono speech at `CLIP_RATE` and what it says."""

    name: str
    pcm: Pcm
    truth: Truth

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / CLIP_RATE

    def cut(self, start: float, end: float) -> Clip:
        """From one position to another; words that are not wholly inside are not in the truth."""
        pcm = self.pcm[round(start * CLIP_RATE) : round(end * CLIP_RATE)]
        return Clip(self.name, pcm, self.truth.within(start, end).shifted(-start))


def read_pcm(path: Path) -> Pcm:
    """A file as mono at `CLIP_RATE`, filled up to a whole packet.

    Raises:
        CommandError: no such file, no audio in it, or damaged.
    """
    return np.concatenate(list(blocks(path, round(CLIP_RATE * PACKET_S), CLIP_RATE)))


def two_cities() -> Clip:
    """44 seconds of Dickens from the package moonshine-voice."""
    return Clip("two_cities", _recording("two_cities.wav"), two_cities_truth())


def beckett() -> Clip:
    """Ten seconds of Beckett from the same package: six short sentences with pauses between them."""
    return Clip("beckett", _recording("beckett.wav"), beckett_truth())


def _recording(name: str) -> Pcm:
    import moonshine_voice

    return read_pcm(Path(moonshine_voice.get_assets_path()) / name)


def compose(name: str, pieces: list[tuple[float, Clip]], duration_s: float) -> Clip:
    """Clips laid into digital silence, each at its start in seconds; they must not overlap."""
    pcm = np.zeros(round(duration_s * CLIP_RATE), np.float32)
    for start, piece in pieces:
        at = round(start * CLIP_RATE)
        pcm[at : at + len(piece.pcm)] = piece.pcm[: len(pcm) - at]
    return Clip(name, pcm, joined([piece.truth.shifted(start) for start, piece in pieces]))


def packets_of(pcm: Pcm, audio: AudioFormat) -> list[bytes]:
    """A whole clip (mono at `CLIP_RATE`) as packets, the last one filled up with silence."""
    if audio.sample_rate != CLIP_RATE:
        pcm = np.asarray(soxr.resample(pcm, CLIP_RATE, audio.sample_rate), np.float32)
    size = audio.packet_samples
    pcm = np.pad(pcm, (0, -len(pcm) % size))
    encoder = OpusEncoder(audio.sample_rate) if audio.codec == "opus" else None
    return [
        encoder.encode(block) if encoder is not None else _samples(block, audio.codec)
        for block in pcm.reshape(-1, size)
    ]


def _samples(block: Pcm, codec: CodecName) -> bytes:
    if codec == "pcm_f32le":
        return block.astype("<f4").tobytes()
    return (np.clip(block, -1.0, 1.0) * 32_767).astype("<i2").tobytes()
