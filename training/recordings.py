"""The Free Spoken Digit Dataset as this training reads it: one word a recording, and where in it the word stands."""

from __future__ import annotations

import tarfile
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import soxr

from captions.types import FRAMES_PER_SECOND, SAMPLE_RATE, Pcm

__all__ = ["DIGITS", "FRAMES_PER_SECOND", "SAMPLE_RATE", "Pcm", "Recording", "read_recordings"]

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

TEST_INDICES = range(5)
"""The data set's own convention: indices 0 to 4 of each speaker and digit are for tests alone."""

WINDOW_SAMPLES = 240
"""10 ms, the grain at which the beginning and end of a word are found."""

SPEECH_FLOOR = 10 ** (-30 / 20)
"""A window belongs to the word if it is at most 30 dB below the loudest."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One spoken digit at 24 kHz. The word is audible from `start` to `end` (samples); what is outside is pause."""

    digit: int
    speaker: str
    held_back: bool
    pcm: Pcm
    start: int
    end: int


def read_recordings(archive: Path, *, held_back: bool, speeds: tuple[float, ...] = (1.0,)) -> Iterator[Recording]:
    """The recordings of the archive, training or held-back ones, each at every speed (pitch moves with it)."""
    with tarfile.open(archive) as tar:
        for member in tar:
            name = PurePosixPath(member.name)
            file = tar.extractfile(member)
            if name.suffix != ".wav" or file is None:
                continue
            digit, speaker, index = name.stem.split("_")
            if (int(index) in TEST_INDICES) != held_back:
                continue
            with wave.open(file) as wav:
                rate = wav.getframerate()
                samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").astype(np.float32) / 32_768
            for speed in speeds:
                pcm = soxr.resample(samples, rate * speed, SAMPLE_RATE)
                start, end = _word_bounds(pcm)
                yield Recording(int(digit), speaker, held_back, pcm, start, end)


def _word_bounds(pcm: Pcm) -> tuple[int, int]:
    """First and last sample of the windows loud enough to be the word."""
    windows = pcm[: len(pcm) // WINDOW_SAMPLES * WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES)
    loudness = np.sqrt(np.mean(windows**2, axis=1))
    (loud,) = np.nonzero(loudness > loudness.max() * SPEECH_FLOOR)
    return int(loud[0]) * WINDOW_SAMPLES, (int(loud[-1]) + 1) * WINDOW_SAMPLES
