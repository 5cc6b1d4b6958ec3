"""How a track's audio is encoded: what a door says of it, and what it takes to count its samples undecoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from captions.stream.opus import OPUS_CLOCK, samples_in_packet
from captions.types import SAMPLE_RATE

__all__ = ["AudioError", "Codec", "CodecName", "weight"]

CodecName: TypeAlias = Literal["opus", "pcm_s16le", "pcm_f32le"]

_SAMPLE_BYTES = {"pcm_s16le": 2, "pcm_f32le": 4}
_LOWEST_RATE, _HIGHEST_RATE = 8_000, 48_000


_SHORTEST_SAMPLES = SAMPLE_RATE * 5 // 2_000
"""The shortest packet that Opus has. What is shorter costs as much to handle."""

_BYTES_PER_SAMPLE = 16
"""The most that PCM takes for a sample at 24 kHz: stereo in float32 at 48 kHz."""


class AudioError(Exception):
    """Audio that cannot be decoded: of an unknown kind, or damaged."""


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoding that the server can decode.

    `sample_rate` is that of PCM; Opus has its RTP clock there, always 48,000 (RFC 7587). Either way it is the rate of
    the track's RTP timestamps.

    Raises:
        AudioError: no such codec, rate or channel count.
    """

    name: CodecName
    sample_rate: int = OPUS_CLOCK
    channels: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.channels <= 2:
            raise AudioError(f"{self.channels} channels; 1 and 2 are known")
        if self.name == "opus":
            if self.sample_rate != OPUS_CLOCK:
                raise AudioError(f"Opus has a clock of {OPUS_CLOCK}, not {self.sample_rate}")
        elif self.name not in _SAMPLE_BYTES:
            raise AudioError(f"no such codec: {self.name}")
        elif not _LOWEST_RATE <= self.sample_rate <= _HIGHEST_RATE:
            raise AudioError(f"a sample rate of {self.sample_rate}; {_LOWEST_RATE} to {_HIGHEST_RATE} are known")

    def ticks_in(self, packet: bytes) -> int:
        """How long a packet is by `sample_rate`; 0 for what is no packet of this codec."""
        if self.name == "opus":
            return samples_in_packet(packet) * (OPUS_CLOCK // SAMPLE_RATE)
        return len(packet) // (_SAMPLE_BYTES[self.name] * self.channels)

    @property
    def second_bytes(self) -> int | None:
        """What a second of PCM takes; None for Opus, whose packets cannot be cut."""
        if self.name == "opus":
            return None
        return _SAMPLE_BYTES[self.name] * self.channels * self.sample_rate

    def samples_in(self, packet: bytes) -> int:
        """How long a packet is in samples at 24 kHz, rounded down."""
        return self.measure(packet)

    @property
    def measure(self) -> Callable[[bytes], int]:
        """What `samples_in` does, for who asks it of every packet."""
        return samples_in_packet if self.name == "opus" else self._pcm_samples_in

    def _pcm_samples_in(self, packet: bytes) -> int:
        return self.ticks_in(packet) * SAMPLE_RATE // self.sample_rate


def weight(samples: int, size: int) -> int:
    """What a packet counts for while it waits, in samples: its length, but no less than it costs in work and memory.

    A flood of packets of one sample each, or of a megabyte that says it lasts 20 ms, is a flood. `size`: in bytes.
    """
    counts = size // _BYTES_PER_SAMPLE
    if counts < samples:
        counts = samples
    return counts if counts > _SHORTEST_SAMPLES else _SHORTEST_SAMPLES
