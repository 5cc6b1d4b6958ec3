"""A model that says what a script tells it to, for tests and load figures of everything around a model.

It recognises its script in the audio itself: a voiced frame's word number is carried by the frame's loudness, so what
it says depends on the frames it is really fed, in their real order, as with a model that listens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from captions.models.model import Batch, LaneEvent, LaneOutput, LaneWord, ModelInfo
from captions.types import FRAME_SAMPLES, Pcm

__all__ = ["ScriptedModel", "spoken_frame"]

_LEVELS = 50
_VOICED = 0.05


def spoken_frame(word: int) -> Pcm:
    """80 ms that the scripted model hears as word number `word` (0 to 49): a tone whose loudness says which."""
    tone = np.sin(2 * np.pi * 200 / 24_000 * np.arange(FRAME_SAMPLES), dtype=np.float32)
    return np.asarray(tone * (_VOICED + (word + 0.5) * (0.9 - _VOICED) / _LEVELS), np.float32)


class ScriptedModel:
    """Says "w0" to "w49" for the frames of `spoken_frame`, once for a run of equal ones, `delay_frames` later.

    `step_work` is called once a step with the number of active lanes: time it as a real step would be.
    """

    def __init__(
        self,
        lanes: int,
        delay_frames: int = 6,
        feeds_silence: bool = False,
        step_work: Callable[[int], None] = lambda _lanes: None,
    ) -> None:
        self.info = ModelInfo(
            name="scripted",
            languages=("und",),
            lanes=lanes,
            delay_frames=delay_frames,
            flush_frames=delay_frames + 1,
            feeds_silence=feeds_silence,
        )
        self._step_work = step_work
        self._heard: list[list[int | None]] = [[] for _ in range(lanes)]

    def warm_up(self) -> None:
        self._step_work(0)

    def reset(self, lanes: Sequence[int]) -> None:
        for lane in lanes:
            self._heard[lane] = []

    def step(self, batch: Batch) -> list[LaneOutput]:
        active = np.flatnonzero(batch.active).tolist()
        self._step_work(len(active))
        outputs = []
        for lane in active:
            heard = self._heard[lane]
            heard.append(_word_in(batch.pcm[lane]))
            events = self._say(heard)
            if events:
                outputs.append(LaneOutput(lane, events))
        return outputs

    def close(self) -> None:
        pass

    def _say(self, heard: list[int | None]) -> tuple[LaneEvent, ...]:
        at = len(heard) - 1 - self.info.delay_frames
        if at < 0 or heard[at] is None or (at > 0 and heard[at - 1] == heard[at]):
            return ()
        return (LaneWord(f"w{heard[at]}", at * FRAME_SAMPLES, (at + 1) * FRAME_SAMPLES),)


def _word_in(pcm: Pcm) -> int | None:
    peak = float(np.abs(pcm).max())
    return int((peak - _VOICED) / (0.9 - _VOICED) * _LEVELS) if peak > _VOICED else None
