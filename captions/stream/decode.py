"""Audio as it came to mono float32 at 24 kHz: PCM in three shapes, and raw Opus packets."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np
import soxr

from captions.stream.codec import AudioError, Codec
from captions.stream.opus import OpusDecoder, OpusError
from captions.types import SAMPLE_RATE, Pcm
from captions.vad.evidence import QUIETEST_SPEECH_DBOV, surely_silent

__all__ = ["Decoder", "PacketDecoder", "PcmDecoder", "decoder_for"]


_PIECE_SAMPLES = 9_600
"""soxr keeps buffers for as much as it was ever given at once, for as long as the track lives."""

QUIETEST_SPEECH_PEAK = 10 ** (-QUIETEST_SPEECH_DBOV / 20)


class Decoder(Protocol):
    """One track's decoder; it carries the codec's and the resampler's state from packet to packet."""

    def decode(self, data: bytes) -> Pcm:
        """The audio of one packet, as a new array.

        Raises:
            AudioError: it cannot be decoded; the next packet may.
        """

    def conceal(self, samples: int, behind: bytes) -> Pcm:
        """Stand-in for `samples` at 24 kHz that were lost before the packet `behind`, or damaged (`behind` empty)."""

    def surely_silent(self, data: bytes, level: int | None) -> bool:
        """Whether nobody speaks in a packet, as far as can be told without decoding it; see vad/evidence.py."""


class PcmDecoder:
    """Interleaved PCM of any rate from 8 to 48 kHz.

    soxr's mode for variable rates is used at a fixed one because it gives its samples evenly: 5 ms behind at 48 kHz,
    where the others give them in bursts, up to 40 ms behind.
    """

    def __init__(self, sample_type: type[np.int16] | type[np.float32], sample_rate: int, channels: int) -> None:
        self._dtype = np.dtype(sample_type).newbyteorder("<")
        self._scale = 1 / 32_768 if sample_type is np.int16 else 1.0
        self._channels = channels
        self._resampler = (
            soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ", vr=True)
            if sample_rate != SAMPLE_RATE
            else None
        )

    def decode(self, data: bytes) -> Pcm:
        width = self._dtype.itemsize * self._channels
        if len(data) % width:
            raise AudioError(f"{len(data)} bytes are not a whole number of {width}-byte samples")
        pcm = np.frombuffer(data, self._dtype).astype(np.float32)
        if self._scale != 1.0:
            pcm *= self._scale
        elif not np.isfinite(pcm).all():
            raise AudioError("the samples are not all finite numbers")
        else:
            np.clip(pcm, -1.0, 1.0, out=pcm)
        if self._channels == 2:
            pcm = pcm.reshape(-1, 2).mean(axis=1)
        return pcm if self._resampler is None else _resampled(self._resampler, pcm)

    def conceal(self, samples: int, behind: bytes) -> Pcm:
        del behind
        return np.zeros(samples, np.float32)

    def surely_silent(self, data: bytes, level: int | None) -> bool:
        if level is not None:
            return level >= QUIETEST_SPEECH_DBOV
        if len(data) % self._dtype.itemsize:
            return False
        pcm = np.frombuffer(data, self._dtype)
        return len(pcm) > 0 and max(float(pcm.max()), -float(pcm.min())) * self._scale < QUIETEST_SPEECH_PEAK


class PacketDecoder:
    """Raw Opus packets. The decoder is made when there is something to decode: most tracks of a meeting are silent."""

    @cached_property
    def _opus(self) -> OpusDecoder:
        return OpusDecoder()

    def decode(self, data: bytes) -> Pcm:
        try:
            return self._opus.decode(data)
        except OpusError as error:
            raise AudioError(str(error)) from None

    def conceal(self, samples: int, behind: bytes) -> Pcm:
        return self._opus.conceal(samples, behind)

    surely_silent = staticmethod(surely_silent)


def _resampled(resampler: soxr.ResampleStream, pcm: Pcm) -> Pcm:
    first: Pcm = resampler.resample_chunk(pcm[:_PIECE_SAMPLES])
    further = range(_PIECE_SAMPLES, len(pcm), _PIECE_SAMPLES)
    if not further:
        return first
    return np.concatenate([first, *(resampler.resample_chunk(pcm[at : at + _PIECE_SAMPLES]) for at in further)])


def decoder_for(codec: Codec) -> Decoder:
    """The decoder of a track."""
    if codec.name == "opus":
        return PacketDecoder()
    sample_type = np.int16 if codec.name == "pcm_s16le" else np.float32
    return PcmDecoder(sample_type, codec.sample_rate, codec.channels)
