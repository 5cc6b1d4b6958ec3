"""Spurts: where they begin and end, and that those of tracks which stop sending end, too."""

from __future__ import annotations

from captions.engine.orders import (
    EndSpeech,
    SenderHeld,
    SenderReleased,
    Turn,
)
from captions.engine.spurts import STALL_MARGIN_S
from captions.types import FRAME_S, FRAME_SAMPLES
from captions.vad.gate import SpurtEnded, SpurtStarted
from tests.engine.listening import (
    HANGOVER_S,
    Bench,
    loud,
    news,
    opened,
    silent,
)


def test_a_track_from_which_nothing_comes_in_mid_spurt_is_ended_after_the_hangover_and_a_margin() -> None:
    bench = Bench()
    bench.hear(opened(), *loud(1, 3))
    stalled_at = 2 * FRAME_S + HANGOVER_S + STALL_MARGIN_S
    assert bench.hear(at=stalled_at - 0.001) == Turn([], [])
    end = 3 * FRAME_SAMPLES
    assert bench.hear(at=stalled_at + 0.001) == Turn([EndSpeech(1, at=end)], [(1, SpurtEnded(end))])
    assert bench.hear(at=stalled_at + 100.0) == Turn([], [])


def test_a_track_that_is_held_back_is_not_taken_to_have_ended_until_it_is_let_go() -> None:
    bench = Bench()
    bench.hear(opened(drops=False), *loud(1, 3), SenderHeld(1))
    assert bench.hear(at=100.0) == Turn([], [])
    assert news(bench.hear(SenderReleased(1))) == [SpurtEnded(3 * FRAME_SAMPLES)]


def test_a_silent_track_from_which_nothing_comes_is_left_alone() -> None:
    bench = Bench()
    bench.hear(opened(), *silent(1, 3))
    assert bench.hear(at=100.0) == Turn([], [])


def test_a_track_that_stalls_does_not_end_the_spurt_of_one_that_goes_on() -> None:
    bench = Bench()
    bench.hear(opened(1), opened(2), *loud(1, 3), *loud(2, 3))
    turn = bench.hear(*loud(2, 1, first=10), at=10 * FRAME_S)
    assert (news(turn, 1), news(turn, 2)) == ([SpurtEnded(3 * FRAME_SAMPLES)], [])


def test_a_track_that_stalled_and_comes_back_speaking_has_a_new_spurt() -> None:
    bench = Bench()
    bench.hear(opened(), *loud(1, 2))
    bench.hear(at=10.0)
    assert news(bench.hear(*silent(1, 2, first=125), *loud(1, 2, first=127))) == [SpurtStarted(4 * FRAME_SAMPLES)]
