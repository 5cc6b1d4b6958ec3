"""What the model is to say and when: Kyutai's text stream and pause heads, laid out from the true words.

The clock. Step 0 primes the language model with its start tokens and hears nothing; step n has heard frames
0 to n - 1. A token out of step n stands for the time (n + 1 - DELAY_FRAMES) / 12.5 s, which is the arithmetic of
Kyutai's server: steps done so far, less the delay.

A word is END_OF_PADDING at its start, its pieces in the steps after, PADDING until END_OF_PADDING at its end.
One END_OF_PADDING serves for both where a word starts as the last one ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.corpus import SpokenDigit
from training.recordings import FRAMES_PER_SECOND

__all__ = [
    "DELAY_FRAMES",
    "END_OF_PADDING",
    "PADDING",
    "PAUSE_LENGTHS_S",
    "PHONES",
    "pause_targets",
    "phone_targets",
    "step_time_s",
    "text_targets",
]

DELAY_FRAMES = 6
"""0.5 s in whole frames."""

END_OF_PADDING = 0
PADDING = 3

PAUSE_LENGTHS_S = (0.5, 1.0, 2.0, 3.0)
PAUSE_REACHED, PAUSE_BEGUN, SPEAKING = 0, 1, 2
"""Classes of a pause head; the other three of its six are never the answer."""

PHONES = 31
"""Three thirds of ten digits, and silence: what the encoder alone is asked for while it learns to hear."""

PHONE_LAG_S = 0.16


def step_time_s(step: int) -> float:
    """The time in the lane that the token of step `step` (the priming step is 0) speaks about."""
    return (step + 1 - DELAY_FRAMES) / FRAMES_PER_SECOND


def text_targets(words: Sequence[SpokenDigit], pieces: Sequence[Sequence[int]], steps: int) -> NDArray[np.int64]:
    """The token each step is to give, [steps]; `pieces[d]` are the tokenizer's ids of digit d."""
    tokens = np.full(steps, PADDING, np.int64)
    free = 0

    def put(step: int, token: int) -> None:
        if step < steps:
            tokens[step] = token

    for word in words:
        start = max(_step_of(word.start_s), free)
        put(start, END_OF_PADDING)
        spelled = pieces[word.digit]
        for offset, piece in enumerate(spelled, 1):
            put(start + offset, piece)
        free = max(_step_of(word.end_s), start + len(spelled) + 1)
        put(free, END_OF_PADDING)
    return tokens


def pause_targets(words: Sequence[SpokenDigit], steps: int) -> NDArray[np.int64]:
    """The class each pause head is to give at each step, [steps, heads].

    A head answers PAUSE_REACHED once the silence heard so far is as long as its pause, to the nearest frame, and
    before the first word; so it says nothing that a listener at that moment could not know.
    """
    heard_s = np.arange(steps) / FRAMES_PER_SECOND
    silence_s: NDArray[np.float64] = np.full(steps, np.inf)
    half_frame_s = 0.5 / FRAMES_PER_SECOND
    for word in words:
        silence_s = np.where(heard_s > word.start_s + half_frame_s, heard_s - word.end_s + half_frame_s, silence_s)
    targets = np.where(silence_s[:, None] >= PAUSE_LENGTHS_S, PAUSE_REACHED, PAUSE_BEGUN)
    return np.where(silence_s[:, None] < 0, SPEAKING, targets)


def phone_targets(words: Sequence[SpokenDigit], frames: int) -> NDArray[np.int64]:
    """The class in 0..PHONES - 1 heard a little before the end of each frame, [frames]."""
    times_s = (np.arange(frames) + 0.5) / FRAMES_PER_SECOND - PHONE_LAG_S
    targets = np.full(frames, PHONES - 1, np.int64)
    for word in words:
        inside = (times_s >= word.start_s) & (times_s < word.end_s)
        thirds = 3 * (times_s[inside] - word.start_s) / (word.end_s - word.start_s)
        targets[inside] = 3 * word.digit + thirds.astype(np.int64)
    return targets


def _step_of(time_s: float) -> int:
    """The step whose token stands for a time, to the nearest frame."""
    return round(time_s * FRAMES_PER_SECOND) + DELAY_FRAMES - 1
