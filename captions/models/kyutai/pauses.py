"""The steadied pause decision of one lane, from the checkpoint's pause heads. Pure Python.

The heads are high before the first word, and they spike for a frame or two inside sentences, on spoken digits most
(delayed-streams-modeling issue 152). So a pause counts only after a word, and once a head has been high for three
frames. States, and in LISTENING the frames for which the head has been high:

    IDLE       --word-->                                        LISTENING, 0
    LISTENING  --word, or head not above THRESHOLD-->           LISTENING, 0
    LISTENING  --head above THRESHOLD HOLD_FRAMES in a row-->   IDLE (a pause has begun)
    LISTENING  --spurt ends-->                                  IDLE
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["HOLD_FRAMES", "PAUSE_HEAD", "THRESHOLD", "PauseReader"]

PAUSE_HEAD = 2
"""The head that Kyutai's own clients decide on (2 s); a checkpoint with fewer heads gives its longest."""

THRESHOLD = 0.5
HOLD_FRAMES = 3


class PauseReader:
    """Call `push` for each step of the lane, `end_spurt` at the end of a flush and with the lane's reset."""

    def __init__(self) -> None:
        self._held_frames: int | None = None  # None in IDLE

    def push(self, probabilities: Sequence[float], word: bool) -> bool:
        """The heads of the next step, and whether a word came with it. True on the one step that begins a pause."""
        if word:
            self._held_frames = 0
            return False
        if self._held_frames is None:
            return False
        above = probabilities[min(PAUSE_HEAD, len(probabilities) - 1)] > THRESHOLD
        self._held_frames = self._held_frames + 1 if above else 0
        if self._held_frames < HOLD_FRAMES:
            return False
        self.end_spurt()
        return True

    def end_spurt(self) -> None:
        """Wait for the next word."""
        self._held_frames = None
