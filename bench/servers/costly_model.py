"""The speaking model at the cost of a real one: random weights cost what others do, but say words all the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.servers.speaking_model import SpeakingModel
from captions.models.model import Batch, LaneOutput, Model

__all__ = ["CostlyModel"]


class CostlyModel:
    """Steps `real` for its cost and forgets what it says; the words are those of a `SpeakingModel`. See `Model`."""

    def __init__(self, real: Model) -> None:
        self._real = real
        self._speaking = SpeakingModel(real.info.lanes, real.info.delay_frames, step_s=0.0)
        self.info = replace(real.info, name=f"speaking, at the cost of {real.info.name}")

    def warm_up(self) -> None:
        self._real.warm_up()

    def reset(self, lanes: Sequence[int]) -> None:
        self._real.reset(lanes)
        self._speaking.reset(lanes)

    def step(self, batch: Batch) -> list[LaneOutput]:
        self._real.step(batch)
        return self._speaking.step(batch)

    def close(self) -> None:
        self._real.close()
