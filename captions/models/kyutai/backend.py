"""What runs the weights of a checkpoint: frames in, tokens and pause probabilities out. It knows nothing of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from captions.types import Pcm

__all__ = ["Backend", "Said"]


@dataclass(frozen=True, slots=True)
class Said:
    """What the model gave in one step. Rows are valid until the next step, and for the lanes that were active only.

    `tokens` [B] int64: the text token of each lane. `pauses` [B, H] float32: the probability that each of its H pause
    heads gives; H is the checkpoint's `pause_heads` and may be 0.
    """

    tokens: NDArray[np.int64]
    pauses: NDArray[np.float32]


class Backend(Protocol):
    """A checkpoint's weights on some device, with the state of `lanes` lanes.

    Call `warm_up` once; it and `full_step_s` leave the lanes in any state. Call `reset` for a lane before its first
    step. One thread owns a backend. `close` frees everything; nothing may be called after it.
    """

    @property
    def lanes(self) -> int:
        """B, the rows of the batch."""

    @property
    def prefix_frames(self) -> int:
        """Frames of silence that a lane has heard when it is reset."""

    @property
    def silence_is_free(self) -> bool:
        """Whether a step takes as long with all lanes as with a few, so that lanes may be fed silence."""

    @property
    def device(self) -> str:
        """What it runs on, in words, and how much of its memory is taken."""

    def warm_up(self) -> None:
        """Pay every first-use cost, such as capturing graphs."""

    def full_step_s(self) -> float:
        """Seconds of a step of all lanes, each of which has heard as much as it can remember. Warm up before it."""

    def reset(self, lanes: Sequence[int]) -> None:
        """Bring `lanes` to where the priming step (start tokens, no codes) and `prefix_frames` of silence leave them.

        They may be used at once: that state is the same for every lane, and is copied. Other lanes are untouched.
        """

    def step(self, pcm: Pcm, active: NDArray[np.bool_]) -> Said:
        """Run the lanes where `active` [B] one frame on. At least one is; the others' state stays as it was.

        Args:
            pcm: [B, 1920] float32; rows of lanes that are not active may hold anything finite.

        Raises:
            ModelError: the device can no longer be used (lost, out of memory).
        """

    def close(self) -> None: ...
