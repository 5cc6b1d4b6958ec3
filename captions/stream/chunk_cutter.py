"""Decoded audio of one track, brought to the detector's 16 kHz and cut into its chunks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from captions.types import SAMPLE_RATE, Pcm
from captions.vad.silero import CHUNK_SAMPLES, VAD_RATE

__all__ = ["CHUNK_SPAN", "Chunk", "ChunkCutter"]

CHUNK_SPAN = CHUNK_SAMPLES * SAMPLE_RATE // VAD_RATE
"""The samples at 24 kHz that one chunk spans."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """512 samples at 16 kHz for the detector, from media position `start`; `fresh` if audio before it is missing."""

    pcm: NDArray[np.float32]
    start: int
    fresh: bool


class ChunkCutter:
    """`add` audio a frame at a time, because a call of the resampler costs as much for 20 ms as for 80.

    Chunks lie on a grid of their own, which a `jump` does not shift.
    """

    def __init__(self) -> None:
        self._resampler: soxr.ResampleStream | None = None
        self._pcm: NDArray[np.float32] = np.empty(0, np.float32)
        self._position = 0
        self._fresh = False

    def add(self, pcm: Pcm) -> tuple[Chunk, ...]:
        """The chunks that have become full. The resampler holds some samples back until more come."""
        if self._resampler is None:
            self._resampler = _to_vad_rate()
        resampled = self._resampler.resample_chunk(pcm)
        pcm16k = np.concatenate([self._pcm, resampled]) if len(self._pcm) else resampled
        full = len(pcm16k) // CHUNK_SAMPLES
        chunks = []
        for number in range(full):
            at = number * CHUNK_SAMPLES
            chunks.append(Chunk(pcm16k[at : at + CHUNK_SAMPLES], self._position, self._fresh))
            self._position += CHUNK_SPAN
            self._fresh = False
        self._pcm = pcm16k[full * CHUNK_SAMPLES :]
        return tuple(chunks)

    def jump(self, position: int) -> None:
        """Go on from another media position; the chunk it falls into is silent up to there."""
        before = position % CHUNK_SPAN
        self._resampler = None
        self._position = position - before
        self._pcm = np.zeros(before * VAD_RATE // SAMPLE_RATE, np.float32)
        self._fresh = True


def _to_vad_rate() -> soxr.ResampleStream:
    return soxr.ResampleStream(SAMPLE_RATE, VAD_RATE, 1, dtype="float32", quality="LQ")
