"""Any audio a person has, as 24 kHz mono: the only module that imports PyAV (FFmpeg)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from captions.cli.errors import CommandError
from captions.types import SAMPLE_RATE, Pcm

__all__ = ["blocks", "duration_s"]


def duration_s(path: Path) -> float | None:
    """How long the audio is, where its container says so."""
    with _open(path) as container:
        return None if container.duration is None else container.duration / 1_000_000


def blocks(path: Path, block_samples: int, sample_rate: int = SAMPLE_RATE) -> Iterator[Pcm]:
    """The file's first audio stream, mono, in blocks of exactly `block_samples`, the last filled up with silence.

    Raises:
        CommandError: no such file, no audio in it, or damaged.
    """
    left: Pcm = np.empty(0, np.float32)
    with _open(path) as container:
        resampler = av.AudioResampler("flt", "mono", sample_rate)
        try:
            for frame in _frames(container):
                for resampled in resampler.resample(frame):
                    left = np.concatenate([left, resampled.to_ndarray()[0]])
                whole = len(left) - len(left) % block_samples
                for start in range(0, whole, block_samples):
                    yield left[start : start + block_samples]
                left = left[whole:]
        except av.FFmpegError as error:
            raise CommandError(f"{path}: {error.strerror}") from None
    if len(left):
        yield np.pad(left, (0, block_samples - len(left)))


def _frames(container: av.container.InputContainer) -> Iterator[av.AudioFrame | None]:
    """Every frame, then None, which empties the resampler."""
    yield from container.decode(audio=0)
    yield None


def _open(path: Path) -> av.container.InputContainer:
    try:
        container = av.open(str(path))
    except (OSError, av.FFmpegError) as error:
        raise CommandError(f"{path}: {error.strerror or error}") from None
    if not container.streams.audio:
        container.close()
        raise CommandError(f"{path}: there is no audio in it")
    return container
