"""What passes between the stages: frames of audio going in, words and segments coming out.

Positions on a track's media clock are counted in samples at 24 kHz (`SAMPLE_RATE`), whatever rate the
sender uses; moments on the server's monotonic clock are seconds as `float` and end in `_at`.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

__all__ = [
    "FRAMES_PER_SECOND",
    "FRAME_S",
    "FRAME_SAMPLES",
    "SAMPLE_RATE",
    "Flushed",
    "Frame",
    "Gap",
    "ModelFailed",
    "Pause",
    "Pcm",
    "Progress",
    "Tentative",
    "TrackEvent",
    "Word",
    "WordEnd",
    "WordTiming",
    "frames_in",
    "samples_in",
    "seconds",
]

SAMPLE_RATE = 24_000
FRAME_SAMPLES = 1_920
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE
FRAMES_PER_SECOND = SAMPLE_RATE / FRAME_SAMPLES

Pcm: TypeAlias = NDArray[np.float32]
"""Mono audio at 24 kHz, full scale ±1.0."""


def seconds(samples: int) -> float:
    """A media position or length in seconds."""
    return samples / SAMPLE_RATE


def samples_in(length_s: float) -> int:
    """The samples of `length_s` seconds at 24 kHz, rounded to the nearest."""
    return round(length_s * SAMPLE_RATE)


def frames_in(length_s: float) -> int:
    """The fewest whole frames that hold `length_s` seconds."""
    return -int(-length_s * SAMPLE_RATE // FRAME_SAMPLES)


class _Plain(Struct, frozen=True, array_like=True, tag=True, gc=False):
    """What may cross to another process, as it is."""


class Frame(_Plain, frozen=True):
    """80 ms of one track.

    `start` is the media position of the first sample; `pcm` has exactly `FRAME_SAMPLES` samples and is
    never written to again; `arrived_at` is when the last packet the frame needed came in.
    """

    start: int
    pcm: Pcm
    arrived_at: float

    @property
    def end(self) -> int:
        return self.start + FRAME_SAMPLES


class Gap(_Plain, frozen=True):
    """Audio from `start` to `end` (media positions) that was never transcribed, and why."""

    start: int
    end: int
    reason: str


class WordTiming(_Plain, frozen=True):
    """The moments that explain a word's latency; each is no earlier than the one before.

    At `frame_at` the frame that holds the word's end was full, and at `ahead_at` the last frame of look-ahead that the
    model wanted. At `lane_at` the track had a lane. The step that gave the word began at `step_at` and ended at
    `emitted_at`.
    """

    frame_at: float
    ahead_at: float
    lane_at: float
    step_at: float
    emitted_at: float


class Word(_Plain, frozen=True):
    """A word on its track's media clock (samples).

    `timing` is None on words that may still change. A word is `open` if it was given before
    its end was known: its `end` is then the position up to which the model had listened, until a `WordEnd` corrects it.
    """

    text: str
    start: int
    end: int
    timing: WordTiming | None = None
    open: bool = False


class WordEnd(_Plain, frozen=True):
    """The end (samples) of the track's latest word, which was given before its end was known."""

    end: int


class Tentative(_Plain, frozen=True):
    """The words behind the committed ones that may still change; replaces the previous ones."""

    words: tuple[Word, ...]


class Pause(_Plain, frozen=True):
    """The model's pause heads for the step at media position `at`; `begun` on the step that closes a segment."""

    at: int
    probabilities: tuple[float, ...]
    begun: bool


class Flushed(_Plain, frozen=True):
    """Every word before a boundary is out: the end of a spurt (`id` None) or a flush the client asked for."""

    id: str | None


class Progress(_Plain, frozen=True):
    """The model has dealt with the track's audio up to media position `to`. Told only of tracks that drop nothing."""

    to: int


class ModelFailed(_Plain, frozen=True):
    """The model is gone and the track's audio will not be transcribed any more."""

    message: str


TrackEvent: TypeAlias = Word | WordEnd | Tentative | Pause | Flushed | Gap | Progress | ModelFailed
"""What comes back from the model for one track, in order."""
