"""A model that costs what it is told to and says a word every so often while it hears anything.

For load figures of everything around a model: the audio can be real speech through Opus and the VAD, every word's end
is known exactly (the end of the frame that completed it), and a step's cost is a setting.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from captions.models.model import Batch, LaneOutput, LaneWord, ModelInfo
from captions.types import FRAME_SAMPLES

__all__ = ["SpeakingModel"]

_AUDIBLE = 0.003
_FRAMES_A_WORD = 4


class SpeakingModel:
    """See `Model`. A word is every fourth audible frame of a lane, said `delay_frames` later.

    Its lanes are treated as those of Kyutai's 1B, with its hangover.
    """

    def __init__(self, lanes: int, delay_frames: int = 6, step_s: float = 0.027) -> None:
        self.info = ModelInfo(
            name=f"speaking, {step_s * 1_000:g} ms a step",
            languages=("und",),
            lanes=lanes,
            delay_frames=delay_frames,
            flush_frames=delay_frames + 1,
            feeds_silence=True,
            hangover_s=0.8,
        )
        self._step_s = step_s
        self._clock = [0] * lanes
        self._audible = [0] * lanes
        self._said = [0] * lanes
        self._owed: list[list[tuple[int, LaneWord]]] = [[] for _ in range(lanes)]

    def warm_up(self) -> None:
        time.sleep(self._step_s)

    def reset(self, lanes: Sequence[int]) -> None:
        for lane in lanes:
            self._clock[lane] = self._audible[lane] = 0
            self._owed[lane] = []

    def step(self, batch: Batch) -> list[LaneOutput]:
        done_at = time.monotonic() + self._step_s
        outputs = []
        for lane in np.flatnonzero(batch.active).tolist():
            self._hear(lane, bool(np.abs(batch.pcm[lane]).max() > _AUDIBLE))
            owed = self._owed[lane]
            if owed and owed[0][0] == self._clock[lane]:
                outputs.append(LaneOutput(lane, (owed.pop(0)[1],)))
            self._clock[lane] += 1
        time.sleep(max(0.0, done_at - time.monotonic()))
        return outputs

    def close(self) -> None:
        pass

    def _hear(self, lane: int, audible: bool) -> None:
        if not audible:
            return
        self._audible[lane] += 1
        if self._audible[lane] % _FRAMES_A_WORD == 0:
            now = self._clock[lane]
            word = LaneWord(
                f"word{self._said[lane]}", max(0, now + 1 - _FRAMES_A_WORD) * FRAME_SAMPLES, (now + 1) * FRAME_SAMPLES
            )
            self._said[lane] += 1
            self._owed[lane].append((now + self.info.delay_frames, word))
