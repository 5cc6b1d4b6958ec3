"""The rules of lanes, one test a rule, in virtual time.

A plan is written as it reads: `reset 0 | 0:A3` resets lane 0 and feeds it frame 3 of track A. `~` is silence on no
clock, `~.` the one that closes a flush.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from captions.models.backlog import Boundary
from captions.models.lane_policy import LanePolicy
from captions.models.plan import Feed, Plan
from captions.models.scheduler import Scheduler
from captions.types import FRAME_S, FRAME_SAMPLES, Frame, Pcm, Progress

QUIET: Pcm = np.zeros(FRAME_SAMPLES, np.float32)


def frame(number: int) -> Frame:
    return Frame(number * FRAME_SAMPLES, QUIET, number * FRAME_S)


def shown(plan: Plan) -> str:
    def fed(feed: Feed) -> str:
        what = "~" if feed.frame is None else str(feed.frame.start // FRAME_SAMPLES)
        return f"{feed.lane}:{chr(feed.track)}{what}{'' if feed.closes is None else '.'}"

    parts = [f"reset {' '.join(map(str, plan.resets))}"] if plan.resets else []
    parts += [" ".join(map(fed, plan.feeds))] if plan.feeds else []
    parts += [f"{chr(track)} flushed {flush.id}" for track, flush in plan.flushed]
    for track, gap in plan.gaps:
        parts.append(f"{chr(track)} lost {gap.start // FRAME_SAMPLES}-{gap.end // FRAME_SAMPLES - 1}: {gap.reason}")
    parts += [f"{chr(track)} taken to {progress.to // FRAME_SAMPLES}" for track, progress in plan.progress]
    return " | ".join(parts)


class Stage:
    """Tracks A, B, C ... and a scheduler; a step takes 27 ms, and frames are numbered from 0 on each track."""

    def __init__(self, lanes: int, *, ready: bool = True, **policy: Any) -> None:
        self.scheduler = Scheduler(LanePolicy(lanes, **policy))
        self.now = 0.0
        self._numbers: dict[str, Iterator[int]] = {}
        if ready:
            while self.step():
                pass

    def open(self, names: str, room: str | None = None, drops: bool = True) -> None:
        for name in names:
            self.scheduler.open(ord(name), room or f"room of {name}", drops)
            self._numbers[name] = itertools.count()

    def hear(self, name: str, frames: int = 1) -> None:
        for number in itertools.islice(self._numbers[name], frames):
            self.scheduler.push(ord(name), frame(number))

    def start(self, name: str, frames: int = 0) -> None:
        """Speech starts, and goes on for so many frames."""
        self.scheduler.speech_started(ord(name), self.now)
        self.hear(name, frames)

    def end(self, name: str) -> None:
        self.scheduler.speech_ended(ord(name))

    def speak(self, names: str, frames: int = 1) -> None:
        """A whole spurt of each, run and flushed."""
        for name in names:
            self.start(name, frames)
            self.end(name)
        self.steps(64)

    def flush(self, name: str, flush_id: str) -> None:
        self.scheduler.flush(ord(name), flush_id)

    def is_file(self, names: str) -> None:
        for name in names:
            self.scheduler.rank(ord(name), live=False)

    def close(self, name: str) -> None:
        self.scheduler.close(ord(name))

    def plan(self) -> Plan:
        plan = self.scheduler.plan(self.now)
        self.now += 0.027
        return plan

    def step(self) -> str:
        return shown(self.plan())

    def steps(self, count: int) -> list[str]:
        return [self.step() for _ in range(count)]


def test_a_track_gets_a_lane_at_its_first_speech_and_the_audio_just_before_goes_first() -> None:
    stage = Stage(1, preroll_frames=2)
    stage.open("A")
    stage.hear("A", 5)
    assert stage.step() == ""
    stage.start("A", 1)
    assert stage.steps(4) == ["0:A3", "0:A4", "0:A5", ""]


def test_free_lanes_are_reset_before_anybody_speaks() -> None:
    stage = Stage(2, ready=False)
    assert stage.steps(2) == ["reset 0 1", ""]
    stage.open("A")
    stage.start("A", 1)
    assert stage.step() == "0:A0"


def test_where_silent_rows_cost_nothing_lanes_are_reset_while_others_are_heard() -> None:
    stage = Stage(2, ready=False, feeds_silence=True)
    stage.open("A")
    stage.start("A", 2)
    assert stage.steps(3) == ["reset 0 1 | 0:A0", "0:A1", ""]


def test_where_they_cost_lanes_are_reset_when_nobody_is_heard() -> None:
    stage = Stage(2, ready=False)
    stage.open("A")
    stage.start("A", 1)
    assert stage.steps(3) == ["reset 0 | 0:A0", "reset 1", ""]


def test_a_lane_that_is_reset_is_taken_before_one_that_is_not() -> None:
    stage = Stage(3)
    stage.open("ABC")
    for name in "AB":
        stage.start(name, 1)
    stage.step()
    stage.close("A")
    stage.start("C", 1)
    assert stage.step() == "2:C0"
    stage.open("D")
    stage.start("D", 1)
    assert stage.step() == "reset 0 | 0:D0"


def test_a_lane_is_kept_through_silence_and_frozen_meanwhile() -> None:
    stage = Stage(1, preroll_frames=2, flush_frames=2)
    stage.open("A")
    stage.speak("A")
    stage.hear("A", 9)
    assert stage.step() == ""
    stage.start("A", 1)
    assert stage.steps(4) == ["0:A8", "0:A9", "0:A10", ""]


def test_or_hears_the_silence_where_that_costs_nothing() -> None:
    stage = Stage(1, preroll_frames=2, flush_frames=2, feeds_silence=True)
    stage.open("A")
    stage.speak("A")
    stage.hear("A", 3)
    assert stage.steps(4) == ["0:A1", "0:A2", "0:A3", ""]


def test_speech_that_ends_is_flushed_as_fast_as_steps_go() -> None:
    stage = Stage(1, flush_frames=3)
    stage.open("A")
    stage.start("A", 2)
    stage.end("A")
    assert stage.steps(6) == ["0:A0", "0:A1", "0:A~", "0:A~", "0:A~.", ""]


@pytest.mark.parametrize(
    ("silent_from", "flushed"),
    [(3, ["0:A~", "0:A~", "0:A~."]), (2, ["0:A~", "0:A~."]), (1, ["0:A~."]), (0, ["0:A~."])],
)
def test_silence_that_was_heard_is_not_flushed_once_more(silent_from: int, flushed: list[str]) -> None:
    stage = Stage(1, flush_frames=3)
    stage.open("A")
    stage.start("A", 4)
    stage.scheduler.speech_ended(ord("A"), silent_from * FRAME_SAMPLES)
    assert stage.steps(9)[4:] == [*flushed, *[""] * (5 - len(flushed))]


def test_silence_that_was_dropped_is_flushed_all_the_same() -> None:
    stage = Stage(1, flush_frames=3, preroll_frames=0, backlog_frames=2, feeds_silence=True)
    stage.open("A")
    stage.start("A", 1)
    assert stage.step() == "0:A0"
    stage.hear("A", 2)
    stage.scheduler.speech_ended(ord("A"), FRAME_SAMPLES)
    stage.hear("A", 2)
    assert stage.steps(6) == ["0:A~ | A lost 1-2: overload", "0:A~", "0:A~.", "0:A3", "0:A4", ""]


def test_a_flush_a_client_asks_for_is_a_boundary_in_its_place() -> None:
    stage = Stage(1, flush_frames=1)
    stage.open("A")
    stage.start("A", 1)
    stage.flush("A", "f1")
    stage.hear("A", 1)
    plans = [stage.plan() for _ in range(3)]
    assert [shown(plan) for plan in plans] == ["0:A0", "0:A~.", "0:A1"]
    assert plans[1].feeds[0].closes == Boundary("f1")


def test_a_flush_behind_which_nothing_was_heard_is_answered_without_a_step() -> None:
    stage = Stage(1, flush_frames=2)
    stage.open("A")
    stage.hear("A", 3)
    stage.flush("A", "no lane")
    assert stage.step() == "A flushed no lane"
    stage.speak("A")
    stage.flush("A", "silent lane")
    assert stage.step() == "A flushed silent lane"


def test_the_lane_silent_and_flushed_the_longest_is_handed_over() -> None:
    stage = Stage(3)
    stage.open("ABCD")
    for name in "BAC":
        stage.speak(name)
    stage.start("D", 1)
    assert stage.step() == "reset 0 | 0:D0"
    assert [stage.scheduler.holds_lane(ord(name)) for name in "ABCD"] == [True, False, True, True]


def test_a_lane_whose_track_speaks_or_is_not_flushed_is_never_taken() -> None:
    stage = Stage(2, flush_frames=2)
    stage.open("ABC")
    stage.start("A", 1)
    stage.start("B", 1)
    stage.end("B")
    stage.start("C", 1)
    assert stage.steps(4) == ["0:A0 1:B0", "1:B~", "1:B~.", "reset 1 | 1:C0"]


def test_a_client_that_flushes_a_silent_lane_does_not_keep_it_from_others() -> None:
    stage = Stage(1, feeds_silence=True)
    stage.open("AB")
    stage.speak("A")
    stage.hear("A", 2)
    stage.flush("A", "f")
    stage.start("B", 1)
    assert stage.step() == "reset 0 | 0:B0 | A flushed f"


def test_the_silence_a_lane_was_not_fed_yet_is_pre_roll_again_when_it_is_taken() -> None:
    stage = Stage(1, preroll_frames=2, feeds_silence=True)
    stage.open("AB")
    stage.speak("A")
    stage.hear("A", 3)
    stage.speak("B")
    stage.hear("A", 1)
    stage.start("A", 1)
    assert stage.steps(4) == ["reset 0 | 0:A3", "0:A4", "0:A5", ""]


def test_the_room_that_holds_the_fewest_lanes_is_served_first_then_who_waited_longest() -> None:
    stage = Stage(2, flush_frames=1)
    stage.open("ABC", room="big")
    stage.open("D", room="small")
    stage.open("E", room="late")
    stage.start("A", 1)
    stage.start("B", 1)
    stage.step()
    for name in "CDE":
        stage.now += 1
        stage.start(name, 1)
    stage.end("B")
    assert stage.steps(2) == ["1:B~.", "reset 1 | 1:D0"]
    stage.end("D")
    assert stage.steps(2) == ["1:D~.", "reset 1 | 1:E0"]
    stage.end("E")
    assert stage.steps(2) == ["1:E~.", "reset 1 | 1:C0"]


def test_live_tracks_go_before_files_however_long_these_wait_and_whatever_room_they_are_in() -> None:
    stage = Stage(1)
    stage.open("ABCD", drops=False)
    stage.is_file("B")
    stage.start("A", 1)
    stage.step()
    for name in "BCD":
        stage.now += 1
        stage.start(name, 1)
        stage.end(name)
    stage.end("A")
    fed = [feed.track for _ in range(9) for feed in stage.plan().feeds if feed.frame is not None]
    assert "".join(map(chr, filter(None, fed))) == "CDB"


def test_files_leave_one_lane_in_four_to_who_speaks() -> None:
    stage = Stage(8)
    stage.open("ABCDEFGH", drops=False)
    stage.is_file("ABCDEFGH")
    for name in "ABCDEFGH":
        stage.start(name, 3)
    stage.steps(3)
    assert (stage.scheduler.lanes_in_use, stage.scheduler.waiting) == (6, 2)
    stage.open("JK")
    for name in "JK":
        stage.start(name, 1)
    assert "6:J0 7:K0" in stage.step()


def test_where_there_are_few_lanes_files_may_have_them_all() -> None:
    stage = Stage(3)
    stage.open("ABC", drops=False)
    stage.is_file("ABC")
    for name in "ABC":
        stage.start(name, 1)
    assert stage.step().startswith("0:A0 1:B0 2:C0")


def test_the_lane_of_a_file_is_called_back_for_who_speaks_flushed_first_and_the_rest_waits() -> None:
    stage = Stage(1, flush_frames=2)
    stage.open("A", drops=False)
    stage.open("B")
    stage.is_file("A")
    stage.start("A", 4)
    assert stage.steps(2) == ["0:A0 | A taken to 1", "0:A1 | A taken to 2"]
    stage.start("B", 1)
    assert stage.steps(3) == ["0:A~", "0:A~.", "reset 0 | 0:B0"]
    assert stage.scheduler.owes(ord("A"))
    stage.end("A")
    stage.end("B")
    assert stage.steps(6) == ["0:B~", "0:B~.", "reset 0 | 0:A2 | A taken to 3", "0:A3 | A taken to 4", "0:A~", "0:A~."]


def test_a_file_that_was_not_heard_yet_leaves_its_lane_at_once() -> None:
    stage = Stage(1)
    stage.open("A", drops=False)
    stage.open("B")
    stage.is_file("A")
    stage.start("A")
    assert stage.step() == ""
    stage.start("B", 1)
    assert stage.step() == "reset 0 | 0:B0"


def test_a_file_that_is_flushed_already_leaves_its_lane_behind_that_flush_and_has_its_answer() -> None:
    stage = Stage(1, flush_frames=2)
    stage.open("A", drops=False)
    stage.open("B")
    stage.is_file("A")
    stage.start("A", 1)
    stage.flush("A", "f")
    stage.hear("A", 1)
    assert stage.steps(2) == ["0:A0 | A taken to 1", "0:A~"]
    stage.start("B", 1)
    plans = [stage.plan() for _ in range(2)]
    assert [shown(plan) for plan in plans] == ["0:A~.", "reset 0 | 0:B0"]
    assert plans[0].feeds[0].closes == Boundary("f")


def test_a_file_that_is_live_again_keeps_its_lane() -> None:
    stage = Stage(1, flush_frames=2)
    stage.open("AB", drops=False)
    stage.is_file("A")
    stage.start("A", 3)
    stage.step()
    stage.start("B", 1)
    assert stage.step() == "0:A~"
    stage.scheduler.rank(ord("A"), live=True)
    assert stage.steps(2) == ["0:A~.", "0:A1 | A taken to 2"]


def test_no_more_lanes_are_called_back_than_are_waited_for_and_none_of_live_tracks() -> None:
    stage = Stage(3, flush_frames=3)
    stage.open("ABC", drops=False)
    stage.open("D")
    stage.is_file("AB")
    for name in "CAB":
        stage.start(name, 9)
    stage.step()
    stage.start("D", 1)
    stage.steps(4)
    assert [stage.scheduler.holds_lane(ord(name)) for name in "ABCD"] == [False, True, True, True]


def test_lanes_of_files_do_not_make_a_server_full() -> None:
    stage = Stage(4)
    stage.open("ABCD", drops=False)
    stage.is_file("ABCD")
    for name in "ABCD":
        stage.start(name, 9)
    stage.step()
    assert stage.scheduler.live_share == 0.0
    stage.open("J")
    stage.start("J", 9)
    stage.step()
    assert stage.scheduler.live_share == 0.25


def test_a_lane_that_is_called_back_when_the_model_fails_owes_nobody_an_answer() -> None:
    stage = Stage(1, flush_frames=3)
    stage.open("A", drops=False)
    stage.open("B")
    stage.is_file("A")
    stage.start("A", 3)
    stage.step()
    stage.start("B", 1)
    stage.step()
    assert stage.scheduler.abandon() == []


def test_a_wait_for_a_lane_is_reported_with_the_grant() -> None:
    stage = Stage(1)
    stage.open("AB")
    stage.now = 0.0
    stage.start("A", 1)
    stage.start("B", 1)
    assert stage.plan().lane_waits_s == [0.0]
    stage.end("A")
    stage.plan()
    stage.now = 2.5
    assert stage.plan().lane_waits_s == [2.5]


def test_a_backlog_is_kept_and_caught_up_a_frame_a_step() -> None:
    stage = Stage(1, preroll_frames=1, backlog_frames=9)
    stage.open("AB")
    stage.start("A", 1)
    stage.start("B", 9)
    assert stage.step() == "0:A0"
    stage.end("A")
    assert stage.step() == "0:A~."
    plans = [stage.plan() for _ in range(9)]
    assert [shown(plan) for plan in plans] == ["reset 0 | 0:B0", *(f"0:B{n}" for n in range(1, 9))]
    assert [plan.feeds[0].lagging for plan in plans] == [True] * 8 + [False]


def test_past_its_bound_the_oldest_audio_is_dropped_and_told() -> None:
    stage = Stage(1, preroll_frames=1, backlog_frames=3)
    stage.open("AB")
    stage.start("A", 1)
    stage.start("B", 5)
    assert stage.step() == "0:A0"
    stage.hear("B", 1)
    stage.end("A")
    assert stage.steps(4) == ["0:A~.", "reset 0 | 0:B3 | B lost 0-2: overload", "0:B4", "0:B5"]


def test_what_a_waiting_track_loses_is_told_a_second_at_a_time() -> None:
    stage = Stage(1, preroll_frames=1, backlog_frames=3)
    stage.open("AB")
    stage.start("A", 1)
    stage.start("B", 3)
    assert stage.step() == "0:A0"
    told = []
    for _ in range(26):
        stage.hear("B", 1)
        told.append(stage.step())
    assert [one for one in told if one] == ["B lost 0-12: overload", "B lost 13-25: overload"]


def test_what_was_not_dropped_between_is_not_told() -> None:
    stage = Stage(1, preroll_frames=0, backlog_frames=5, wait_frames=5)
    stage.open("AB")
    stage.start("A", 1)
    assert stage.step() == "0:A0"
    stage.start("B", 2)
    stage.end("B")
    stage.hear("B", 5)
    stage.start("B", 2)
    stage.end("B")
    stage.now = 1.2
    assert stage.step() == "B lost 0-1: overload | B lost 7-8: overload"


def test_what_has_waited_for_a_lane_too_long_is_dropped_and_told() -> None:
    stage = Stage(1, preroll_frames=1, wait_frames=5)
    stage.open("AB")
    stage.start("A", 1)
    stage.start("B", 3)
    stage.now = 0.4
    assert stage.step() == "0:A0"
    stage.now = 0.5
    assert stage.step() == ""
    stage.hear("B", 1)
    stage.end("A")
    assert stage.steps(4) == ["0:A~.", "reset 0 | 0:B2 | B lost 0-1: overload", "0:B3", ""]


def test_a_track_does_not_wait_on_when_all_it_waited_with_is_dropped() -> None:
    stage = Stage(1, preroll_frames=1, wait_frames=5)
    stage.open("AB")
    stage.start("A", 1)
    assert stage.step() == "0:A0"
    stage.start("B", 3)
    stage.end("B")
    stage.flush("B", "f")
    stage.now = 0.6
    assert stage.steps(2) == ["B lost 0-2: overload", "B flushed None | B flushed f"]
    assert stage.scheduler.waiting == 0
    stage.end("A")
    assert stage.steps(2) == ["0:A~.", ""]


def test_a_track_that_never_drops_waits_as_long_as_it_takes() -> None:
    stage = Stage(1, preroll_frames=1, wait_frames=5)
    stage.open("A")
    stage.open("B", drops=False)
    stage.start("A", 1)
    assert stage.step() == "0:A0"
    stage.start("B", 2)
    stage.now = 60.0
    stage.end("A")
    assert stage.steps(3) == ["0:A~.", "reset 0 | 0:B0 | B taken to 1", "0:B1 | B taken to 2"]


def test_the_pre_roll_of_a_second_spurt_is_within_the_bound_too() -> None:
    stage = Stage(1, preroll_frames=2, backlog_frames=3)
    stage.open("AB")
    stage.start("A", 1)
    stage.start("B", 3)
    stage.end("B")
    stage.hear("B", 2)
    stage.start("B")
    assert stage.step() == "0:A0"
    stage.flush("B", "f")
    stage.close("A")
    assert stage.step() == "reset 0 | 0:B2 | B lost 0-1: overload"


def test_boundaries_outlive_the_audio_that_is_dropped_and_a_busy_lane_is_set_free() -> None:
    stage = Stage(1, preroll_frames=1, backlog_frames=2, feeds_silence=True)
    stage.open("A")
    stage.start("A", 2)
    assert stage.step() == "0:A0"
    stage.end("A")
    stage.hear("A", 5)
    assert stage.steps(4) == ["0:A~. | A lost 1-4: overload", "0:A5", "0:A6", ""]
    assert stage.scheduler.lanes_busy == 0


def test_a_boundary_before_all_audio_that_is_left_to_a_waiting_track_is_answered() -> None:
    stage = Stage(1, preroll_frames=1, backlog_frames=2)
    stage.open("AB")
    stage.start("A", 1)
    stage.start("B", 2)
    stage.flush("B", "f")
    stage.hear("B", 2)
    assert stage.step() == "0:A0 | B flushed f | B lost 0-1: overload"


def test_a_track_that_never_drops_is_told_how_far_it_is_taken_instead() -> None:
    stage = Stage(1, preroll_frames=1, backlog_frames=2)
    stage.open("A")
    stage.open("B", drops=False)
    stage.start("A", 1)
    stage.hear("B", 2)
    assert stage.step() == "0:A0 | B taken to 2"
    stage.start("B", 4)
    stage.end("B")
    stage.hear("B", 2)
    assert stage.step() == ""
    stage.end("A")
    assert stage.steps(3) == ["0:A~.", "reset 0 | 0:B1", "0:B2 | B taken to 3"]


def test_a_lane_that_hears_speech_and_says_nothing_is_reset_and_hears_it_again_once() -> None:
    stage = Stage(1, stall_frames=3)
    stage.open("A")
    stage.start("A", 4)
    plans = [stage.plan() for _ in range(8)]
    assert [shown(plan) for plan in plans] == [
        *("0:A0", "0:A1", "0:A2"),
        "reset 0 | 0:A0",
        *("0:A1", "0:A2", "0:A3", ""),
    ]
    assert [plan.stalled for plan in plans] == [0, 0, 0, 1, 0, 0, 0, 0]
    stage.hear("A", 9)
    assert sum(stage.plan().stalled for _ in range(12)) == 0


def test_a_word_in_the_very_last_step_is_not_said_twice() -> None:
    stage = Stage(1, stall_frames=3)
    stage.open("A")
    stage.start("A", 4)
    stage.steps(3)
    stage.scheduler.answered(ord("A"))
    assert stage.steps(2) == ["0:A3", ""]


def test_once_the_model_has_spoken_again_the_next_stall_is_replayed_too() -> None:
    stage = Stage(1, stall_frames=2)
    stage.open("A")
    stage.start("A", 5)
    assert stage.steps(4) == ["0:A0", "0:A1", "reset 0 | 0:A0", "0:A1"]
    stage.scheduler.answered(ord("A"))
    assert stage.steps(4) == ["0:A2", "0:A3", "reset 0 | 0:A2", "0:A3"]


def test_each_spurt_is_watched_anew() -> None:
    stage = Stage(1, stall_frames=2)
    stage.open("A")
    stage.speak("A", 2)
    stage.start("A", 2)
    assert stage.steps(4) == ["0:A2", "0:A3", "reset 0 | 0:A2", "0:A3"]


def test_silence_does_not_stall() -> None:
    stage = Stage(1, stall_frames=2, feeds_silence=True)
    stage.open("A")
    stage.speak("A")
    stage.hear("A", 5)
    assert stage.steps(6) == ["0:A1", "0:A2", "0:A3", "0:A4", "0:A5", ""]


def test_speech_that_ends_before_its_first_frame_is_whole_holds_nothing() -> None:
    stage = Stage(1)
    stage.open("A")
    stage.start("A")
    stage.end("A")
    assert stage.step() == "A flushed None"
    assert (stage.scheduler.waiting, stage.scheduler.lanes_in_use) == (0, 0)


def test_audio_pushed_between_two_spurts_of_a_waiting_track_stays_in_order() -> None:
    stage = Stage(1, preroll_frames=3, feeds_silence=True)
    stage.open("AB")
    stage.start("A", 1)
    stage.start("B", 1)
    stage.end("B")
    stage.hear("B", 2)
    stage.end("A")
    assert stage.steps(3) == ["0:A0", "0:A~.", "reset 0 | 0:B0"]
    stage.hear("B", 1)
    stage.start("B", 1)
    assert stage.steps(6) == ["0:B~.", "0:B1", "0:B2", "0:B3", "0:B4", ""]


def test_a_closed_track_leaves_its_lane_and_its_place_in_the_queue() -> None:
    stage = Stage(1, flush_frames=2)
    stage.open("ABC")
    stage.start("A", 3)
    stage.start("B", 1)
    stage.start("C", 1)
    assert stage.step() == "0:A0"
    stage.flush("B", "never answered")
    stage.close("A")
    stage.close("B")
    assert stage.step() == "reset 0 | 0:C0"
    stage.close("C")
    assert stage.steps(2) == ["reset 0", ""]
    assert (stage.scheduler.tracks, stage.scheduler.waiting, stage.scheduler.lanes_in_use) == ([], 0, 0)


def test_what_a_lane_said_for_a_closed_track_is_labelled_with_that_track_and_no_other() -> None:
    stage = Stage(1)
    stage.open("AB")
    stage.start("A", 2)
    before = stage.plan()
    stage.close("A")
    stage.start("B", 1)
    after = stage.plan()
    assert [(feed.lane, feed.track) for feed in before.feeds + after.feeds] == [(0, ord("A")), (0, ord("B"))]
    assert after.resets == [0]


def test_orders_for_unknown_tracks_are_ignored() -> None:
    stage = Stage(1)
    scheduler = stage.scheduler
    scheduler.push(1, frame(0))
    scheduler.speech_started(1, 0.0)
    scheduler.speech_ended(1)
    scheduler.flush(1, "f")
    scheduler.answered(1)
    scheduler.close(1)
    assert (stage.step(), scheduler.holds_lane(1)) == ("", False)


def test_when_the_model_fails_every_flush_owed_is_handed_back_those_of_the_failed_step_too() -> None:
    stage = Stage(2, flush_frames=1)
    stage.open("ABC")
    stage.start("A", 1)
    stage.end("A")
    stage.start("B", 3)
    stage.step()
    stage.flush("B", "queued")
    stage.start("C", 1)
    stage.flush("C", "waiting")
    assert stage.step() == "0:A~. 1:B1"
    owed = stage.scheduler.abandon()
    assert sorted((chr(track), flush.id or "") for track, flush in owed) == [
        ("A", ""),
        ("B", "queued"),
        ("C", "waiting"),
    ]
    assert (stage.scheduler.waiting, stage.scheduler.lanes_in_use) == (0, 0)
    assert stage.scheduler.abandon() == []


@pytest.mark.parametrize("policy", [LanePolicy(0), LanePolicy(1, flush_frames=0), LanePolicy(1, backlog_frames=7)])
def test_a_policy_that_cannot_work_is_refused(policy: LanePolicy) -> None:
    with pytest.raises(ValueError, match="at least"):
        Scheduler(policy)


def calls_of_a_plan(silent_tracks: int) -> int:
    """The function calls in a plan for 64 tracks that speak, beside so many silent ones."""
    scheduler = Scheduler(LanePolicy(64, feeds_silence=True))
    for track in range(64 + silent_tracks):
        scheduler.open(track, f"room {track // 10}")
    for track in range(64):
        scheduler.speech_started(track, 0.0)
        scheduler.push(track, frame(0))
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        plan = scheduler.plan(0.0)
    finally:
        sys.setprofile(None)
    assert len(plan.feeds) == 64
    return calls


def test_a_plan_costs_nothing_for_the_silent() -> None:
    """The garbage collector may add a call or two; a call for each silent track would be half as many again."""
    assert calls_of_a_plan(silent_tracks=5_000) < 1.1 * calls_of_a_plan(silent_tracks=0)


class Ledger:
    """What is known of one track from outside: all it pushed, what must be run, what was."""

    def __init__(self, drops: bool) -> None:
        self.drops = drops
        self.live = True
        self.pushed = 0
        self.speaking = False
        self.owed: set[int] = set()
        self.fed: list[int] = []
        self.boundaries: list[tuple[str | None, set[int]]] = []
        self.idle: set[str | None] = set()
        self.taken_to = 0

    @property
    def busy(self) -> bool:
        return self.speaking or any(flush_id not in self.idle for flush_id, _ in self.boundaries)

    def bound(self, flush_id: str | None) -> None:
        """A boundary behind all that is known to be speech by now. One with nothing to flush does not keep a lane."""
        if flush_id is not None and not self.busy and not self.owed:
            self.idle.add(flush_id)
        self.boundaries.append((flush_id, self.owed | set(self.fed)))


class Lanes(RuleBasedStateMachine):
    """Anything may happen to tracks at any time; every plan must keep the promises, whatever the policy."""

    names = Bundle("names")

    @initialize(
        lanes=st.integers(1, 3),
        flush=st.integers(1, 3),
        preroll=st.integers(1, 3),
        backlog=st.integers(3, 8),
        wait=st.integers(0, 8),
        stall=st.sampled_from([0, 0, 2, 4]),
        feeds_silence=st.booleans(),
    )
    def begin(
        self,
        lanes: int,
        flush: int,
        preroll: int,
        backlog: int,
        wait: int,
        stall: int,
        feeds_silence: bool,
    ) -> None:
        self.policy = LanePolicy(lanes, flush, preroll, backlog, wait, stall, feeds_silence)
        self.scheduler = Scheduler(self.policy)
        self.ledgers: dict[int, Ledger] = {}
        self.now = 0.0
        self.ids = itertools.count()
        self.fed_to: dict[int, list[int | None]] = {}
        self.owner: dict[int, int | None] = {}
        self.replayed: set[int] = set()
        self.rehearing: set[int] = set()

    @rule(target=names, room=st.sampled_from("xy"), drops=st.booleans())
    def open(self, room: str, drops: bool) -> int:
        track = next(self.ids)
        self.scheduler.open(track, room, drops)
        self.ledgers[track] = Ledger(drops)
        return track

    @rule(track=names, frames=st.integers(1, 6))
    def push(self, track: int, frames: int) -> None:
        one = self.ledgers[track]
        for _ in range(frames):
            self.scheduler.push(track, frame(one.pushed))
            if one.speaking:
                one.owed.add(one.pushed)
            one.pushed += 1

    @rule(track=names)
    def start(self, track: int) -> None:
        one = self.ledgers[track]
        if not one.speaking:
            before = range(max(0, one.pushed - self.policy.preroll_frames), one.pushed)
            one.owed |= set(before) - set(one.fed)
            one.speaking = True
        self.scheduler.speech_started(track, self.now)

    @rule(track=names, silent=st.none() | st.integers(0, 4))
    def end(self, track: int, silent: int | None) -> None:
        one = self.ledgers[track]
        if one.speaking:
            one.speaking = False
            one.bound(None)
        self.scheduler.speech_ended(track, None if silent is None else (one.pushed - silent) * FRAME_SAMPLES)

    @rule(track=names)
    def flush(self, track: int) -> None:
        flush_id = f"f{next(self.ids)}"
        self.ledgers[track].bound(flush_id)
        self.scheduler.flush(track, flush_id)

    @rule(track=consumes(names))
    def close(self, track: int) -> None:
        self.scheduler.close(track)
        del self.ledgers[track]

    @rule(track=names, live=st.booleans())
    def rank(self, track: int, live: bool) -> None:
        """Only of who drops nothing: see the listener."""
        if not self.ledgers[track].drops:
            self.ledgers[track].live = live
            self.scheduler.rank(track, live=live)

    @rule(track=names)
    def answer(self, track: int) -> None:
        if self.scheduler.holds_lane(track):
            self.scheduler.answered(track)
            self.replayed.discard(track)

    @rule(times=st.integers(1, 6))
    def steps(self, times: int) -> None:
        for _ in range(times):
            self.step()

    @precondition(lambda self: hasattr(self, "scheduler"))
    @invariant()
    def counts_are_sound(self) -> None:
        held = [track for track in self.ledgers if self.scheduler.holds_lane(track)]
        assert self.scheduler.tracks == list(self.ledgers)
        assert len(held) == self.scheduler.lanes_in_use <= self.policy.lanes
        assert self.scheduler.lanes_busy <= self.scheduler.lanes_in_use

    def step(self) -> bool:
        must_keep = [t for t, one in self.ledgers.items() if one.busy and self.scheduler.holds_lane(t)]
        kept_on = {track: lane for lane, track in self.owner.items() if track in must_keep}
        plan = self.scheduler.plan(self.now)
        self.now += 0.027
        self._check_lanes(plan, kept_on)
        for track, gap in plan.gaps:
            one = self.ledgers[track]
            assert one.drops
            one.owed -= set(range(gap.start // FRAME_SAMPLES, gap.end // FRAME_SAMPLES))
        for track, flush in plan.flushed:
            self._answered(track, flush)
        for feed in plan.feeds:
            self._check_feed(feed.track, feed)
        for track, progress in plan.progress:
            self._check_progress(track, progress)
        return bool(plan)

    def _check_lanes(self, plan: Plan, kept_on: dict[int, int]) -> None:
        lanes = [feed.lane for feed in plan.feeds]
        tracks = [feed.track for feed in plan.feeds]
        assert len(lanes) == len(set(lanes)), "a lane is fed once a step"
        assert len(tracks) == len(set(tracks)), "a track has one lane"
        assert len(plan.resets) == len(set(plan.resets))
        reset = {kept for kept, lane in kept_on.items() if lane in plan.resets}
        stalled = {kept for kept in reset if self.ledgers[kept].live}
        assert len(stalled) <= plan.stalled <= len(reset), "a file may have left its lane and come back to it"
        assert not self.replayed & stalled, "once, until the model speaks again or a flush closes"
        self.replayed |= stalled
        self.rehearing |= reset
        for lane in plan.resets:
            self.fed_to[lane] = []
            self.owner[lane] = None
        for feed in plan.feeds:
            before = self.owner.get(feed.lane)
            assert before in (feed.track, None), "a lane with a new track is reset, unless it was made ready for it"
            self.owner[feed.lane] = feed.track
            fed = self.fed_to[feed.lane]
            fed.append(None if feed.frame is None else feed.frame.start)
            if feed.closes is not None:
                silent_from = math.inf if feed.closes.silent_from is None else feed.closes.silent_from
                spoken = [place for place, at in enumerate(fed) if at is not None and at < silent_from]
                silence = len(fed) - max(spoken, default=-1) - 1
                assert silence >= self.policy.flush_frames, "the model has heard all the silence it needs"
        for track, lane in kept_on.items():
            called_back = not self.ledgers[track].live or any(
                f.lane == lane and f.closes and f.closes.parts for f in plan.feeds
            )
            assert self.scheduler.holds_lane(track) or called_back, "the busy lane of a live track is never taken"
            of_others = any(feed.track != track for feed in plan.feeds if feed.lane == lane)
            assert not (self.ledgers[track].live and of_others), "a file that has heard nothing yet parts at once"

    def _check_feed(self, track: int, feed: Feed) -> None:
        one = self.ledgers[track]
        if feed.closes is not None:
            assert feed.frame is None
            if not feed.closes.parts:
                self._answered(track, feed.closes)
            self.replayed.discard(track)
        if feed.frame is None:
            return
        number = feed.frame.start // FRAME_SAMPLES
        if one.fed and number <= one.fed[-1]:
            self._hear_again(track, number)
        assert not one.fed or number > one.fed[-1], "in order"
        one.fed.append(number)
        one.owed.discard(number)
        assert not any(other < number for other in one.owed), "speech is not passed over"

    def _hear_again(self, track: int, number: int) -> None:
        one = self.ledgers[track]
        assert track in self.rehearing, "no frame comes twice but by the watchdog"
        self.rehearing.remove(track)
        again = one.fed[one.fed.index(number) :]
        assert len(again) <= self.policy.stall_frames
        del one.fed[-len(again) :]
        one.owed |= set(again)

    def _answered(self, track: int, flush: Boundary) -> None:
        one = self.ledgers[track]
        answered = next(b for b in one.boundaries if b[0] == flush.id)
        one.boundaries.remove(answered)
        assert not answered[1] & one.owed, "everything before a boundary was run or told"
        self.replayed.discard(track)

    def _check_progress(self, track: int, progress: Progress) -> None:
        one = self.ledgers[track]
        assert not one.drops
        assert one.taken_to < progress.to <= one.pushed * FRAME_SAMPLES
        assert not any(number * FRAME_SAMPLES < progress.to for number in one.owed)
        one.taken_to = progress.to

    def teardown(self) -> None:
        """Everybody falls silent: everything is run and flushed; everybody leaves: nothing is left."""
        if not hasattr(self, "scheduler"):
            return
        for track in self.ledgers:
            self.end(track, None)
        assert any(not self.step() for _ in range(2_000)), "it comes to rest"
        for one in self.ledgers.values():
            assert (one.owed, one.boundaries) == (set(), [])
            assert one.drops or one.taken_to == one.pushed * FRAME_SAMPLES
        assert (self.scheduler.waiting, self.scheduler.lanes_busy) == (0, 0)
        for track in list(self.ledgers):
            self.close(track)
        assert (self.scheduler.tracks, self.scheduler.lanes_in_use) == ([], 0)


TestLanes = Lanes.TestCase
TestLanes.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, report_multiple_bugs=False)


# What can only be seen in a plan itself


def test_a_track_owes_until_its_speech_is_flushed() -> None:
    stage = Stage(1, flush_frames=2)
    stage.open("AB")
    owes = [stage.scheduler.owes(ord("A"))]
    stage.start("A", 1)
    owes.append(stage.scheduler.owes(ord("A")))
    stage.end("A")
    owes.append(stage.scheduler.owes(ord("A")))
    stage.steps(4)
    owes += [stage.scheduler.owes(ord(name)) for name in "ABZ"]
    assert owes == [False, True, True, False, False, False]


def test_a_track_that_waits_for_a_lane_owes() -> None:
    stage = Stage(1)
    stage.open("AB")
    stage.start("A", 1)
    stage.step()
    stage.start("B")
    assert stage.scheduler.owes(ord("B"))


def test_a_feed_says_when_its_track_got_the_lane_and_whether_more_waits() -> None:
    stage = Stage(1, flush_frames=1, feeds_silence=True, ready=False)
    stage.open("A")
    stage.now = 7.0
    stage.start("A", 2)
    stage.end("A")
    feeds = [feed for _ in range(3) for feed in stage.plan().feeds]
    assert [(feed.lane_at, feed.lagging) for feed in feeds] == [(7.0, True), (7.0, False), (7.0, False)]


def test_a_flush_lags_while_speech_waits_behind_it() -> None:
    stage = Stage(1, flush_frames=2)
    stage.open("A")
    stage.start("A", 1)
    stage.flush("A", "f")
    stage.hear("A", 2)
    feeds = [feed for _ in range(5) for feed in stage.plan().feeds]
    assert [feed.lagging for feed in feeds] == [True, True, True, True, False]


def test_the_wait_for_a_lane_is_told_with_its_length() -> None:
    stage = Stage(1, flush_frames=1)
    stage.open("AB")
    stage.start("A", 1)
    assert stage.plan().lane_waits_s == [0.0]
    stage.now = 3.0
    stage.start("B", 1)
    stage.end("A")
    waits = [wait for _ in range(4) for wait in stage.plan().lane_waits_s]
    assert waits == [pytest.approx(0.027)]


def test_among_rooms_the_one_with_fewest_busy_lanes_is_served_first_at_every_lane() -> None:
    stage = Stage(4)
    stage.open("ABC", room="big")
    stage.open("DEF", room="small")
    for name in "ABC":
        stage.start(name, 1)
        stage.now += 0.001
    for name in "DEF":
        stage.start(name, 1)
        stage.now += 0.001
    stage.step()
    assert [name for name in "ABCDEF" if stage.scheduler.holds_lane(ord(name))] == ["A", "B", "D", "E"]


def test_each_stalled_lane_is_counted() -> None:
    stage = Stage(2, stall_frames=2)
    stage.open("AB")
    stage.start("A", 3)
    stage.start("B", 3)
    assert sum(stage.plan().stalled for _ in range(4)) == 2


def test_a_watchdog_of_one_frame_watches() -> None:
    stage = Stage(1, stall_frames=1)
    stage.open("A")
    stage.start("A", 2)
    assert [stage.plan().stalled for _ in range(3)] == [0, 1, 0]


def test_a_boundary_behind_speech_that_waits_is_kept_until_the_speech_was_run() -> None:
    stage = Stage(1, flush_frames=1)
    stage.open("AB")
    stage.start("A", 1)
    stage.step()
    stage.start("B", 1)
    stage.flush("B", "f")
    assert "flushed" not in stage.step()
    stage.end("A")
    assert [step for step in stage.steps(4) if step] == ["0:A~.", "reset 0 | 0:B0", "0:B~."]


def test_only_what_is_older_than_the_wait_is_dropped_and_each_track_by_itself() -> None:
    stage = Stage(1, wait_frames=2, preroll_frames=0, backlog_frames=50)
    stage.open("ABCD")
    stage.start("A", 1)
    stage.step()
    stage.now = 0.0
    for name in "BD":
        stage.start(name, 3)
    stage.now = 10.0
    stage.start("C", 1)
    stage.now = 2 * FRAME_S + FRAME_S
    stage.plan()
    stage.end("A")
    stage.now = 2 * FRAME_S + FRAME_S
    assert "B2" in " ".join(stage.steps(6))


def test_a_track_opened_again_begins_anew() -> None:
    stage = Stage(1)
    stage.open("A")
    stage.start("A", 1)
    stage.step()
    stage.open("A")
    assert (stage.scheduler.lanes_in_use, stage.scheduler.owes(ord("A"))) == (0, False)


def test_abandoning_answers_the_boundary_that_is_being_flushed_and_those_behind_it() -> None:
    stage = Stage(1, flush_frames=3)
    stage.open("A")
    stage.start("A", 1)
    stage.flush("A", "f")
    stage.flush("A", "g")
    stage.steps(2)
    assert stage.scheduler.abandon() == [(ord("A"), Boundary("f")), (ord("A"), Boundary("g"))]
    assert stage.scheduler.waiting == 0


def test_the_boundaries_of_every_track_whose_speech_grew_too_old_are_answered() -> None:
    stage = Stage(1, wait_frames=1, preroll_frames=0)
    stage.open("ABC")
    stage.start("A", 1)
    stage.step()
    for name in "BC":
        stage.start(name, 1)
        stage.flush(name, f"of {name}")
        stage.end(name)
    stage.now = 10.0
    told = " | ".join(stage.steps(3))
    assert [f"{name} flushed of {name}" in told for name in "BC"] == [True, True]


def test_a_track_that_never_drops_does_not_keep_the_stale_speech_of_another() -> None:
    stage = Stage(1, wait_frames=1, preroll_frames=0)
    stage.open("A")
    stage.open("B", drops=False)
    stage.open("C")
    stage.start("A", 1)
    stage.step()
    stage.start("B", 2)
    stage.start("C", 30)
    stage.now = 10.0
    assert "C lost 0-29: overload" in " | ".join(stage.steps(2))


def test_what_one_track_is_to_be_told_later_does_not_delay_what_another_is_told() -> None:
    stage = Stage(1, wait_frames=2, preroll_frames=0)
    stage.open("AB")
    stage.open("C", drops=False)
    stage.start("A", 1)
    stage.step()
    stage.start("B", 1)
    stage.now = 5.0
    stage.hear("B", 1)
    stage.hear("C", 1)
    assert "C taken to 1" in " | ".join(stage.steps(2))


def test_a_track_with_a_lane_owes_while_it_speaks() -> None:
    stage = Stage(1)
    stage.open("A")
    stage.start("A", 1)
    stage.steps(2)
    assert (stage.scheduler.holds_lane(ord("A")), stage.scheduler.owes(ord("A"))) == (True, True)


def test_a_track_whose_lane_is_taken_is_told_that_its_silence_was_dealt_with() -> None:
    stage = Stage(1, flush_frames=1, feeds_silence=True)
    stage.open("A", drops=False)
    stage.open("B")
    stage.start("A", 1)
    stage.end("A")
    stage.steps(3)
    stage.hear("A", 2)
    stage.start("B", 1)
    assert "A taken to 3" in stage.step()


def test_lanes_at_rest_do_not_put_their_room_behind_others() -> None:
    stage = Stage(2, flush_frames=1)
    stage.open("ABC", room="one")
    stage.open("D", room="two")
    stage.speak("AB")
    stage.start("C", 1)
    stage.now += 0.001
    stage.start("D", 1)
    assert [(feed.lane, chr(feed.track)) for feed in stage.plan().feeds] == [(0, "C"), (1, "D")]


def test_a_lane_that_was_just_granted_counts_as_one_for_its_room() -> None:
    stage = Stage(3)
    stage.open("SU", room="small")
    stage.open("BC", room="big")
    stage.start("S", 1)
    stage.step()
    for name in "BCU":
        stage.start(name, 1)
        stage.now += 0.001
    stage.step()
    assert [name for name in "SBCU" if stage.scheduler.holds_lane(ord(name))] == ["S", "B", "C"]


def test_a_track_waits_again_after_everything_was_abandoned() -> None:
    stage = Stage(1)
    stage.open("AB")
    stage.start("A", 1)
    stage.step()
    stage.start("B", 1)
    stage.scheduler.abandon()
    stage.end("B")
    stage.start("B")
    assert stage.scheduler.waiting == 1
