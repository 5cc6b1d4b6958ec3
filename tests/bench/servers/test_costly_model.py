"""A real model's cost with words that mean something."""

from __future__ import annotations

import numpy as np

from bench.servers.costly_model import CostlyModel
from bench.servers.speaking_model import SpeakingModel
from captions.models.model import Batch, LaneOutput
from captions.types import FRAME_SAMPLES


class Counting(SpeakingModel):
    steps = 0

    def step(self, batch: Batch) -> list[LaneOutput]:
        self.steps += 1
        return [LaneOutput(0, ())]


def test_the_real_model_is_stepped_and_the_words_are_the_speaking_ones() -> None:
    real = Counting(lanes=1, delay_frames=2, step_s=0.0)
    model = CostlyModel(real)
    model.reset([0])
    batch = Batch.of(1, FRAME_SAMPLES)
    batch.active[:], batch.pcm[:] = True, np.float32(0.1)
    said = [
        word.text for _ in range(8) for output in model.step(batch) for word in output.events if hasattr(word, "text")
    ]
    assert (real.steps, said) == (8, ["word0"])
