"""The CPU default, on a few seconds of real speech."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from captions.models.model import Batch, LaneEvent, LaneTentative, LaneWord
from captions.models.moonshine.model import MoonshineModel
from captions.models.moonshine.words import spoken
from captions.types import FRAME_SAMPLES, Pcm, samples_in
from tests.speech import SILENCE, dickens

TRUTH = "it was the best of times it was the worst of times"


@pytest.fixture(scope="module")
def model() -> Iterator[MoonshineModel]:
    model = MoonshineModel(lanes=2)
    model.warm_up()
    yield model
    model.close()


def frames(start_s: float, end_s: float) -> list[Pcm]:
    pcm = dickens(start_s, end_s)
    return list(pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES))


def hear(model: MoonshineModel, lanes: dict[int, list[Pcm]]) -> dict[int, list[list[LaneEvent]]]:
    """What each lane says, step by step, while it hears its frames; then each is closed by a flush."""
    model.reset(list(lanes))
    said: dict[int, list[list[LaneEvent]]] = {lane: [] for lane in lanes}
    for at in range(max(map(len, lanes.values())) + 1):
        batch = Batch.of(model.info.lanes, FRAME_SAMPLES)
        for lane, heard in lanes.items():
            if at <= len(heard):
                batch.active[lane] = True
                batch.closing[lane] = at == len(heard)
                batch.pcm[lane] = heard[at] if at < len(heard) else SILENCE
        outputs = {output.lane: list(output.events) for output in model.step(batch)}
        assert outputs.keys() <= lanes.keys()
        for lane, events in outputs.items():
            said[lane].append(events)
    return said


def words(said: list[list[LaneEvent]]) -> list[LaneWord]:
    return [event for events in said for event in events if isinstance(event, LaneWord)]


@pytest.fixture(scope="module")
def sentence(model: MoonshineModel) -> list[list[LaneEvent]]:
    """What is said, step by step, of the first sentence."""
    return hear(model, {0: frames(1.1, 4.7)})[0]


def test_it_says_what_it_is(model: MoonshineModel) -> None:
    info = model.info
    assert (info.name, info.languages, info.lanes, info.delay_frames, info.feeds_silence) == (
        "moonshine-tiny-en",
        ("en",),
        2,
        0,
        False,
    )


def test_real_speech_becomes_words_that_are_never_taken_back(sentence: list[list[LaneEvent]]) -> None:
    steps, committed = sentence, words(sentence)
    assert [spoken(w.text) for w in committed] == TRUTH.split()
    assert len(steps) > 3, "words come while the speech goes on, not only at its end"
    assert words(steps[:-1]), "and some of them committed"
    assert steps[-1][-1] == LaneTentative(())
    edges = [edge for w in committed for edge in (w.start, w.end or 0)]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= samples_in(3.6)


def test_word_times_are_where_the_words_are(sentence: list[list[LaneEvent]]) -> None:
    best = next(w for w in words(sentence) if w.text.casefold().startswith("best"))
    assert best.start == pytest.approx(samples_in(0.5), abs=samples_in(0.35))


def test_a_comma_that_the_model_doubles_stands_once(model: MoonshineModel) -> None:
    said = [word.text for word in words(hear(model, {0: frames(28.8, 31.5)})[0])]
    assert "short," in said
    assert not [text for text in said if ",," in text]


def test_lanes_do_not_hear_each_other(model: MoonshineModel) -> None:
    one, other = frames(1.1, 2.3), frames(8.8, 10.0)
    together = hear(model, {0: one, 1: other})
    assert [w.text for w in words(together[0])] == [w.text for w in words(hear(model, {0: one})[0])]
    assert [w.text for w in words(together[1])] == [w.text for w in words(hear(model, {1: other})[1])]


def test_a_reset_lane_has_forgotten_what_it_heard(model: MoonshineModel) -> None:
    fresh = [w.text for w in words(hear(model, {0: frames(8.8, 10.0)})[0])]
    model.reset([0])
    batch = Batch.of(2, FRAME_SAMPLES)
    batch.active[0] = True
    for frame in frames(1.1, 1.5):
        batch.pcm[0] = frame
        model.step(batch)
    assert [w.text for w in words(hear(model, {0: frames(8.8, 10.0)})[0])] == fresh


def test_silence_says_nothing(model: MoonshineModel) -> None:
    assert words(hear(model, {0: [SILENCE] * 3})[0]) == []


def test_closing_a_lane_that_heard_nothing_says_nothing(model: MoonshineModel) -> None:
    assert hear(model, {0: []}) == {0: []}


def test_a_lane_that_lags_is_read_only_once_it_has_caught_up(model: MoonshineModel) -> None:
    model.reset([0])
    batch = Batch.of(2, FRAME_SAMPLES)
    batch.active[0] = batch.lagging[0] = True
    outputs = []
    for frame in frames(1.1, 3.0):
        batch.pcm[0] = frame
        outputs += model.step(batch)
    assert outputs == []
    batch.closing[0] = True
    batch.pcm[0] = np.zeros(FRAME_SAMPLES, np.float32)
    [output] = model.step(batch)
    assert [event.text for event in output.events if isinstance(event, LaneWord)][:4] == ["It", "was", "the", "best"]


def test_a_lane_takes_its_share_of_a_reading(model: MoonshineModel) -> None:
    assert 0 < model.lane_step_s() < 10
