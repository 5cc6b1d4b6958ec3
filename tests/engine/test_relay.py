"""What a front remembers of its tracks, so that a new model goes on where the old one died."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from captions.engine.orders import (
    CloseTrack,
    EndSpeech,
    FlushTrack,
    OpenTrack,
    Order,
    PushFrame,
    RankTrack,
    StartSpeech,
)
from captions.engine.relay import Relay
from captions.types import FRAME_SAMPLES, Flushed, Frame, Gap, Progress, Tentative, TrackEvent, Word

PREROLL, MOST = 2, 20
SILENT_PCM = np.zeros(FRAME_SAMPLES, np.float32)


def frame(number: int, track: int = 1) -> PushFrame:
    """The track's frame of this number."""
    return PushFrame(track, Frame(number * FRAME_SAMPLES, SILENT_PCM, number * 0.08))


def frames(*numbers: int, track: int = 1) -> list[Order]:
    return [frame(number, track) for number in numbers]


def at(number: int) -> int:
    return number * FRAME_SAMPLES


def relay(*orders: Order, drops: bool = True) -> Relay:
    """One with a model and track 1, that was told some orders."""
    made = Relay(PREROLL, MOST)
    assert made.found() == ([], [])
    made.forward([OpenTrack(1, "daily", drops), *orders])
    return made


def plain(orders: Sequence[Order]) -> list[object]:
    """Orders to compare: frames by their number."""
    return [order.frame.start // FRAME_SAMPLES if isinstance(order, PushFrame) else order for order in orders]


def test_a_silent_track_sends_nothing_but_its_pre_roll_once_it_speaks() -> None:
    made = relay()
    assert made.forward(frames(0, 1, 2, 3)) == ([], [])
    to_send, events = made.forward([StartSpeech(1), *frames(4), EndSpeech(1, at(5)), *frames(5)])
    assert (plain(to_send), events) == ([2, 3, StartSpeech(1), 4, EndSpeech(1, at(5)), 5], [])
    made.said([(1, Flushed(None))])
    assert made.forward(frames(6)) == ([], [])


def test_the_pre_roll_stays_in_order_behind_a_flush_in_silence() -> None:
    made = relay(*frames(0), FlushTrack(1, "f"))
    to_send, _ = made.forward([*frames(1), StartSpeech(1), *frames(2)])
    assert plain(to_send) == [0, 1, StartSpeech(1), 2]


def test_a_track_that_drops_nothing_is_told_that_its_silence_was_dealt_with() -> None:
    assert relay(drops=False).forward(frames(0, 1)) == ([], [(1, Progress(at(1))), (1, Progress(at(2)))])


def test_speech_without_an_answer_is_told_as_a_gap_and_its_flushes_are_answered() -> None:
    made = relay(*frames(0), StartSpeech(1), *frames(1, 2, 3), EndSpeech(1), FlushTrack(1, "f"))
    made.said([(1, Word("one", at(1), at(2)))])
    assert made.lost() == [
        (1, Gap(at(2), at(4), "restart")),
        (1, Tentative(())),
        (1, Flushed(None)),
        (1, Flushed("f")),
    ]
    assert made.lost() == []


def test_of_a_track_that_was_answered_nothing_is_told() -> None:
    made = relay(*frames(0), StartSpeech(1), *frames(1), EndSpeech(1))
    made.said([(1, Word("one", at(0), at(1))), (1, Flushed(None))])
    assert made.lost() == []
    assert made.found() == ([OpenTrack(1, "daily", True)], [])


def test_a_sender_that_waits_is_let_go_on() -> None:
    made = relay(StartSpeech(1), *frames(0), drops=False)
    assert made.lost() == [(1, Gap(0, at(1), "restart")), (1, Tentative(())), (1, Progress(at(1)))]


def test_a_new_model_is_told_what_was_kept_and_who_still_speaks() -> None:
    made = relay(StartSpeech(1), *frames(0))
    made.lost()
    later: list[Order] = [*frames(1), OpenTrack(2, "daily", True), StartSpeech(2), *frames(0, track=2), EndSpeech(1)]
    assert made.forward(later) == ([], [])
    orders, events = made.found()
    assert (plain(orders), events) == (
        [
            OpenTrack(1, "daily", True),
            StartSpeech(1),
            1,
            EndSpeech(1),
            OpenTrack(2, "daily", True),
            StartSpeech(2),
            0,
        ],
        [],
    )
    assert made.forward(frames(2)) == (frames(2), []), "and from there on everything is passed on at once"


def test_a_new_model_is_told_who_is_a_file() -> None:
    made = relay(drops=False)
    assert made.forward([RankTrack(1, live=False)]) == ([RankTrack(1, live=False)], [])
    made.lost()
    assert made.forward([RankTrack(1, live=True)]) == ([], [])
    assert made.found() == ([OpenTrack(1, "daily", False), RankTrack(1, live=True)], [])


def test_a_track_that_is_closed_meanwhile_is_nothing_to_the_new_model() -> None:
    made = relay(StartSpeech(1), *frames(0))
    made.lost()
    assert made.forward([CloseTrack(1)]) == ([], [])
    assert (made.found(), made.tracks) == (([], []), 0)


def test_no_more_is_kept_than_may_wait_and_what_is_dropped_is_told_by_the_second() -> None:
    made = relay(StartSpeech(1))
    made.lost()
    to_send, events = made.forward(frames(*range(MOST + 15)))
    assert (to_send, events) == ([], [(1, Gap(0, at(13), "overload"))])
    orders, events = made.found()
    assert plain(orders) == [OpenTrack(1, "daily", True), StartSpeech(1), *range(15, MOST + 15)]
    assert events == [(1, Gap(at(13), at(15), "overload"))]


def test_a_model_that_dies_again_before_it_answers_is_told_once_for_each() -> None:
    made = relay(StartSpeech(1), *frames(0))
    assert made.lost()[0] == (1, Gap(0, at(1), "restart"))
    made.forward(frames(1, 2))
    made.found()
    assert made.lost()[0] == (1, Gap(at(1), at(3), "restart"))


STEPS = st.lists(st.sampled_from(["frame", "start", "end", "flush", "answer", "word", "lose", "find"]), max_size=80)


@given(STEPS, st.booleans())
def test_whenever_models_die_every_flush_is_answered_once_and_no_frame_is_sent_twice(
    steps: list[str], drops: bool
) -> None:
    made = Relay(PREROLL, MOST)
    made.found()
    has_model, speaking, number, flushes = True, False, 0, 0
    sent: list[Order] = list(made.forward([OpenTrack(1, "daily", drops)])[0])
    told: list[TrackEvent] = []
    owed: list[str | None] = []
    asked: list[str | None] = []

    def on_its_way(orders: Sequence[Order], events: Sequence[tuple[int, TrackEvent]]) -> None:
        for order in orders:
            sent.append(order)
            if isinstance(order, EndSpeech):
                owed.append(None)
            elif isinstance(order, FlushTrack):
                owed.append(order.flush_id)
        told.extend(event for _, event in events)

    for step in [*steps, "find", "answer"]:
        if step == "frame":
            on_its_way(*made.forward(frames(number)))
            number += 1
        elif step == "start" and not speaking:
            speaking = True
            on_its_way(*made.forward([StartSpeech(1)]))
        elif step == "end" and speaking:
            speaking = False
            asked.append(None)
            on_its_way(*made.forward([EndSpeech(1)]))
        elif step == "flush":
            flushes += 1
            asked.append(f"f{flushes}")
            on_its_way(*made.forward([FlushTrack(1, f"f{flushes}")]))
        elif step == "answer" and has_model:
            events: list[tuple[int, TrackEvent]] = [(1, Flushed(flush)) for flush in owed]
            owed.clear()
            made.said(events)
            told.extend(event for _, event in events)
        elif step == "word" and has_model and number:
            made.said([(1, Word("w", at(number - 1), at(number)))])
        elif step == "lose" and has_model:
            has_model = False
            owed.clear()
            told.extend(event for _, event in made.lost())
        elif step == "find" and not has_model:
            has_model = True
            on_its_way(*made.found())
    assert [event.id for event in told if isinstance(event, Flushed)] == asked
    counted = Counter(order.frame.start for order in sent if isinstance(order, PushFrame))
    assert max(counted.values(), default=1) == 1
    starts = [order.frame.start for order in sent if isinstance(order, PushFrame)]
    assert starts == sorted(starts)
