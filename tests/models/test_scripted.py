"""The scripted model keeps the contract of `Model`, so that what passes with it passes with a model that listens."""

from __future__ import annotations

import numpy as np
import pytest

from captions.models.model import Batch, LaneOutput, LaneWord
from captions.models.scripted import ScriptedModel, spoken_frame
from captions.types import FRAME_SAMPLES, Pcm

SILENCE: Pcm = np.zeros(FRAME_SAMPLES, np.float32)


def step(model: ScriptedModel, frames: dict[int, Pcm]) -> list[LaneOutput]:
    batch = Batch.of(model.info.lanes, FRAME_SAMPLES)
    for lane, frame in frames.items():
        batch.active[lane] = True
        batch.pcm[lane] = frame
    return model.step(batch)


def ready(lanes: int = 1, delay_frames: int = 0) -> ScriptedModel:
    model = ScriptedModel(lanes, delay_frames)
    model.warm_up()
    model.reset(range(lanes))
    return model


def said(word: int, frame: int, lane: int = 0) -> list[LaneOutput]:
    return [LaneOutput(lane, (LaneWord(f"w{word}", frame * FRAME_SAMPLES, (frame + 1) * FRAME_SAMPLES),))]


@pytest.mark.parametrize("word", range(50))
def test_every_word_is_recognised(word: int) -> None:
    assert step(ready(), {0: spoken_frame(word)}) == said(word, 0)


def test_silence_says_nothing() -> None:
    assert step(ready(), {0: SILENCE}) == []


def test_a_run_of_equal_frames_is_one_word() -> None:
    model = ready()
    frames = [spoken_frame(3), spoken_frame(3), SILENCE, spoken_frame(3), spoken_frame(4)]
    assert [step(model, {0: frame}) for frame in frames] == [said(3, 0), [], [], said(3, 3), said(4, 4)]


def test_words_come_after_the_delay_on_the_lanes_clock() -> None:
    model = ready(delay_frames=2)
    assert [step(model, {0: f}) for f in (SILENCE, spoken_frame(7), SILENCE, SILENCE)] == [[], [], [], said(7, 1)]
    assert (model.info.delay_frames, model.info.flush_frames) == (2, 3)


def test_lanes_do_not_hear_each_other_and_a_lane_that_is_not_active_stands_still() -> None:
    model = ready(lanes=2, delay_frames=1)
    assert step(model, {0: spoken_frame(1), 1: spoken_frame(2)}) == []
    assert step(model, {1: SILENCE}) == said(2, 0, lane=1)
    assert step(model, {0: SILENCE}) == said(1, 0, lane=0)


def test_a_reset_lane_has_forgotten_everything_and_the_others_nothing() -> None:
    model = ready(lanes=2, delay_frames=1)
    step(model, {0: spoken_frame(1), 1: spoken_frame(2)})
    model.reset([0])
    assert step(model, {0: SILENCE, 1: SILENCE}) == said(2, 0, lane=1)


def test_each_step_can_be_made_to_cost_something() -> None:
    costs: list[int] = []
    model = ScriptedModel(3, step_work=costs.append)
    model.warm_up()
    step(model, {0: SILENCE, 2: SILENCE})
    assert costs == [0, 2]
