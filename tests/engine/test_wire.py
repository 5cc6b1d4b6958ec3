"""What passes between a front and the process of the model, there and back."""

from __future__ import annotations

import numpy as np

from captions.engine.orders import (
    CloseTrack,
    EndSpeech,
    FlushTrack,
    OpenTrack,
    Order,
    PushFrame,
    RankTrack,
    StartSpeech,
    StepReport,
    first_track_of,
    front_of,
)
from captions.engine.wire import Join, Said, Told, Welcome, decode_from_front, decode_from_model, encode
from captions.models.scripted import ScriptedModel
from captions.types import (
    FRAME_SAMPLES,
    Flushed,
    Frame,
    Gap,
    ModelFailed,
    Pause,
    Progress,
    Tentative,
    TrackEvent,
    Word,
    WordEnd,
    WordTiming,
)


def test_orders_and_their_frames_arrive_as_they_were() -> None:
    pcm = np.linspace(-1, 1, FRAME_SAMPLES, dtype=np.float32)
    orders: list[Order] = [
        OpenTrack(1, "daily", True), StartSpeech(1), EndSpeech(1), EndSpeech(1, 5), FlushTrack(1, "f"), CloseTrack(1),
        RankTrack(1, live=False),
    ]  # fmt: skip
    told = decode_from_front(encode(Told(7, [*orders, PushFrame(1, Frame(1_920, pcm, 2.5))])))
    assert isinstance(told, Told)
    *plain, pushed = told.orders
    assert (told.model, plain) == (7, orders)
    assert isinstance(pushed, PushFrame)
    assert (pushed.frame.start, pushed.frame.arrived_at) == (1_920, 2.5)
    assert pushed.frame.pcm.dtype == np.float32
    assert np.array_equal(pushed.frame.pcm, pcm)


def test_everything_the_model_says_arrives_as_it_was() -> None:
    timing = WordTiming(1.0, 2.0, 3.0, 4.0, 5.0)
    events: list[TrackEvent] = [
        Word("one", 0, 5, timing), Word("two", 5, 9, open=True), WordEnd(8), Tentative((Word("three", 9, 10),)),
        Pause(9, (0.25, 0.5), True), Flushed(None), Flushed("f"), Gap(0, 9, "overload"), Progress(9), ModelFailed("no"),
    ]  # fmt: skip
    said = Said(
        7, [(track, event) for track, event in enumerate(events)], StepReport(0.5, 1, 2, 3, 4, 0.5, (0.25,), 5, 0.25)
    )
    assert decode_from_model(encode(said)) == said
    assert decode_from_model(encode(Said(7, [], None))) == Said(7, [], None)


def test_who_joins_is_welcomed_with_what_the_model_is() -> None:
    assert decode_from_front(encode(Join())) == Join()
    welcome = Welcome(7, ScriptedModel(4).info)
    assert decode_from_model(encode(welcome)) == welcome


def test_no_two_fronts_have_a_track_in_common() -> None:
    assert [front_of(first_track_of(front) + 1) for front in (0, 1, 2)] == [0, 1, 2]
    assert first_track_of(0) == 0
