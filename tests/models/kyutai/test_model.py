"""The model over a backend that says what it is told to: tokens and pauses become events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from captions.models.kyutai.backend import Said
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.model import KyutaiModel
from captions.models.kyutai.words import SPACE
from captions.models.model import Batch, LaneEvent, LanePause, LaneWord, LaneWordEnd, ModelInfo
from captions.types import FRAME_SAMPLES, Pcm

LANES = 3
END, PAD, OUI, NON = 0, 3, 4, 5
SPEECH, PAUSE = (0.0, 0.0, 0.0, 0.0), (1.0, 1.0, 1.0, 1.0)


class Pieces:
    """A tokenizer of two words."""

    def decode(self, ids: list[int], /) -> str:
        return " ".join({OUI: "oui", NON: "non"}[piece] for piece in ids)

    def id_to_piece(self, piece: int, /) -> str:
        return SPACE + self.decode([piece])


class ScriptedBackend:
    """Says `tokens` and `pauses`, as set for each step, and keeps what it was asked to do."""

    def __init__(self, silence_is_free: bool = False, prefix_frames: int = 0) -> None:
        self.lanes = LANES
        self.prefix_frames = prefix_frames
        self.silence_is_free = silence_is_free
        self.device = "a GPU of the test"
        self.tokens = [PAD] * LANES
        self.pauses = [SPEECH] * LANES
        self.calls: list[object] = []

    def warm_up(self) -> None:
        self.calls.append("warm_up")

    def full_step_s(self) -> float:
        self.calls.append("full_step_s")
        return 0.02

    def reset(self, lanes: Sequence[int]) -> None:
        self.calls.append(("reset", *lanes))

    def step(self, pcm: Pcm, active: NDArray[np.bool_]) -> Said:
        self.calls.append(("step", *np.flatnonzero(active).tolist()))
        return Said(np.array(self.tokens), np.array(self.pauses, np.float32))

    def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def checkpoint(small_checkpoint: Path) -> Checkpoint:
    return Checkpoint.find(str(small_checkpoint))


@pytest.fixture
def backend() -> ScriptedBackend:
    return ScriptedBackend()


@pytest.fixture
def model(checkpoint: Checkpoint, backend: ScriptedBackend) -> KyutaiModel:
    """A model whose lanes have had their delay's worth of silence, so that each token has a time."""
    model = KyutaiModel(checkpoint, Pieces(), backend)
    for _ in range(checkpoint.delay_frames - 2):
        model.step(batch(0, 1, 2))
    backend.calls.clear()
    return model


def batch(*active: int, closing: Sequence[int] = ()) -> Batch:
    made = Batch.of(LANES, FRAME_SAMPLES)
    made.active[list(active)] = True
    made.closing[list(closing)] = True
    return made


def said(model: KyutaiModel, batch: Batch) -> dict[int, list[LaneEvent]]:
    """The words and word ends of a step, by lane."""
    return {
        output.lane: [event for event in output.events if not isinstance(event, LanePause)]
        for output in model.step(batch)
    }


@pytest.mark.parametrize("silence_is_free", [True, False])
def test_what_the_service_is_told(checkpoint: Checkpoint, silence_is_free: bool) -> None:
    assert KyutaiModel(checkpoint, Pieces(), ScriptedBackend(silence_is_free)).info == ModelInfo(
        name="small",
        languages=("und",),
        lanes=LANES,
        delay_frames=6,
        flush_frames=8,
        feeds_silence=silence_is_free,
        can_stall=True,
        hangover_s=0.8,
        pause_heads=4,
    )


def test_the_silence_that_a_reset_lane_has_heard_is_before_its_time(checkpoint: Checkpoint) -> None:
    backend = ScriptedBackend(prefix_frames=13)
    model = KyutaiModel(checkpoint, Pieces(), backend)
    for tokens in ([END] * LANES, [OUI] * LANES):
        backend.tokens = tokens
        assert said(model, batch(0)) == {0: []}
    backend.tokens = [END] * LANES
    assert said(model, batch(0)) == {0: [LaneWord("oui", 0, 0)]}


def test_warming_up_times_a_full_step_and_leaves_every_lane_reset(model: KyutaiModel, backend: ScriptedBackend) -> None:
    model.warm_up()
    assert backend.calls == ["warm_up", "full_step_s", ("reset", 0, 1, 2)]


def test_a_warm_model_tells_what_it_runs_on_and_what_was_measured(
    checkpoint: Checkpoint, backend: ScriptedBackend
) -> None:
    model = KyutaiModel(checkpoint, Pieces(), backend, ((1, 0.015), (8, 0.06)))
    model.warm_up()
    assert model.info.device == "a GPU of the test"
    assert model.info.measured == ((1, 0.015), (LANES, 0.02), (8, 0.06))


def test_a_step_without_an_active_lane_does_not_run_the_backend(model: KyutaiModel, backend: ScriptedBackend) -> None:
    assert model.step(batch()) == []
    assert backend.calls == []


def test_each_active_lane_gives_its_own_words(model: KyutaiModel, backend: ScriptedBackend) -> None:
    for tokens in ([END, END, END], [OUI, NON, NON]):
        backend.tokens = tokens
        assert said(model, batch(0, 2)) == {0: [], 2: []}
    backend.tokens = [PAD, END, END]
    assert said(model, batch(0, 2)) == {0: [LaneWord("oui", 0, None)], 2: [LaneWord("non", 0, 2 * FRAME_SAMPLES)]}
    assert model.tokens.tolist() == [PAD, PAD, END]


def test_every_active_lane_gives_its_pause_heads(model: KyutaiModel, backend: ScriptedBackend) -> None:
    backend.pauses = [SPEECH, PAUSE, (0.25, 0.5, 0.75, 1.0)]
    outputs = model.step(batch(0, 2))
    assert [(output.lane, output.events) for output in outputs] == [
        (0, (LanePause(SPEECH, False),)),
        (2, (LanePause((0.25, 0.5, 0.75, 1.0), False),)),
    ]


def test_a_lane_that_said_nothing_is_left_out_where_there_are_no_pause_heads(
    model: KyutaiModel, backend: ScriptedBackend
) -> None:
    backend.pauses = [()] * LANES  # type: ignore[list-item]
    assert model.step(batch(0, 1)) == []


def pauses_begun(model: KyutaiModel, backend: ScriptedBackend, lane: int, steps: int) -> list[bool]:
    """Whether a pause began in each of `steps` steps in which every pause head is high."""
    backend.tokens, backend.pauses = [PAD] * LANES, [PAUSE] * LANES
    outputs = [output for _ in range(steps) for output in model.step(batch(lane))]
    return [event.begun for output in outputs for event in output.events if isinstance(event, LanePause)]


def speak(model: KyutaiModel, backend: ScriptedBackend, lane: int) -> None:
    """One whole word on `lane`."""
    backend.pauses = [SPEECH] * LANES
    for token in (END, OUI, END):
        backend.tokens = [token] * LANES
        model.step(batch(lane))


def test_a_pause_begins_after_a_word_on_that_lane_alone(model: KyutaiModel, backend: ScriptedBackend) -> None:
    speak(model, backend, 1)
    assert pauses_begun(model, backend, 0, 4) == [False] * 4
    assert pauses_begun(model, backend, 1, 4) == [False, False, True, False]


def test_closing_brings_the_word_under_way_out_and_ends_the_spurt(model: KyutaiModel, backend: ScriptedBackend) -> None:
    for token in (END, OUI):
        backend.tokens = [token] * LANES
        model.step(batch(0))
    backend.tokens = [OUI] * LANES
    closed = said(model, batch(0, closing=[0]))
    assert closed == {
        0: [
            LaneWord("oui", 0, None),
            LaneWordEnd(FRAME_SAMPLES),
            LaneWord("oui", FRAME_SAMPLES, 2 * FRAME_SAMPLES),
        ]
    }
    assert pauses_begun(model, backend, 0, 4) == [False] * 4


def test_a_reset_lane_starts_its_clock_and_waits_for_a_word(model: KyutaiModel, backend: ScriptedBackend) -> None:
    speak(model, backend, 0)
    speak(model, backend, 1)
    model.reset([1])
    assert backend.calls[-1] == ("reset", 1)
    assert pauses_begun(model, backend, 1, 4) == [False] * 4
    assert pauses_begun(model, backend, 0, 3) == [False, False, True]
    for token in (END, OUI):
        backend.tokens = [token] * LANES
        model.step(batch(1))
    backend.tokens = [END] * LANES
    assert said(model, batch(1)) == {1: [LaneWord("oui", 0, 2 * FRAME_SAMPLES)]}


def test_the_model_closes_its_backend(model: KyutaiModel, backend: ScriptedBackend) -> None:
    model.close()
    assert backend.calls == ["close"]
