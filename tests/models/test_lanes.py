"""A lane's states, one transition at a time."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from captions.models.backlog import Boundary
from captions.models.lanes import Lane, LaneState
from captions.models.scheduled_track import ScheduledTrack
from captions.types import FRAME_SAMPLES, Frame

FLUSH_FRAMES = 3


def frame(number: int) -> Frame:
    return Frame(number * FRAME_SAMPLES, np.zeros(FRAME_SAMPLES, np.float32), 0.0)


def state(lane: Lane) -> LaneState:
    return lane.state


def granted() -> Lane:
    """A lane that is reset and has a track."""
    lane = Lane(0, FLUSH_FRAMES)
    lane.grant(ScheduledTrack(1, "room", True, deque(maxlen=8)), now=2.0)
    lane.reset()
    return lane


def heard(*numbers: int, watched: bool = True) -> Lane:
    lane = granted()
    for number in numbers or (0,):
        lane.feed(frame(number), watched)
    return lane


def resting() -> Lane:
    lane = granted()
    lane.rest(5.0)
    return lane


def test_a_new_lane_is_stale_until_it_is_reset() -> None:
    lane = Lane(0, FLUSH_FRAMES)
    assert state(lane) is LaneState.STALE
    lane.reset()
    assert state(lane) is LaneState.READY


def test_speech_is_flushed_with_silence_and_the_lane_is_ready_again() -> None:
    lane, boundary = heard(), Boundary("f")
    assert state(lane) is LaneState.HEARD
    lane.begin_flush(boundary, FLUSH_FRAMES)
    assert (state(lane), lane.boundary) == (LaneState.FLUSHING, boundary)
    assert [lane.flush() for _ in range(FLUSH_FRAMES)] == [None, None, boundary]
    assert (state(lane), lane.boundary, list(lane.unanswered)) == (LaneState.READY, None, [])


@pytest.mark.parametrize(
    ("silent_from", "flush_frames"), [(None, 3), (10, 3), (6, 3), (5, 3), (4, 2), (3, 1), (2, 1), (0, 1)]
)
def test_silence_that_was_fed_last_is_not_flushed_again_but_for_the_frame_where_speech_ended(
    silent_from: int | None, flush_frames: int
) -> None:
    lane = heard(*range(6))
    lane.begin_flush(Boundary(None, None if silent_from is None else silent_from * FRAME_SAMPLES), FLUSH_FRAMES)
    steps = 1
    while lane.flush() is None:
        steps += 1
    assert steps == flush_frames


def test_a_lane_rests_until_its_track_speaks() -> None:
    lane = resting()
    assert (state(lane), lane.resting_since, lane.is_busy) == (LaneState.RESTING, 5.0, False)
    lane.feed(frame(0), True)
    assert (state(lane), list(lane.unanswered)) == (LaneState.RESTING, [])
    lane.wake()
    assert (state(lane), lane.is_busy) == (LaneState.READY, True)


def test_waking_a_lane_that_does_not_rest_changes_nothing() -> None:
    lane = heard()
    lane.wake()
    assert state(lane) is LaneState.HEARD


def test_a_lane_that_stalls_gives_its_speech_back_once_until_it_is_answered() -> None:
    lane = heard(0, 1, 2)
    assert [f.start // FRAME_SAMPLES for f in lane.stall()] == [0, 1, 2]
    assert (state(lane), list(lane.unanswered)) == (LaneState.STALE, [])
    lane.reset()
    lane.feed(frame(0), True)
    assert list(lane.unanswered) == []
    lane.answered()
    lane.feed(frame(1), True)
    assert [f.start // FRAME_SAMPLES for f in lane.unanswered] == [1]


def test_speech_nobody_watches_over_is_not_kept() -> None:
    assert list(heard(0, 1, watched=False).unanswered) == []


def test_a_flush_forgets_that_speech_was_replayed() -> None:
    lane = heard()
    lane.stall()
    lane.reset()
    lane.feed(frame(0), True)
    lane.begin_flush(Boundary(), 1)
    lane.flush()
    lane.feed(frame(1), True)
    assert len(lane.unanswered) == 1


def test_a_lane_and_its_track_know_each_other_until_they_part() -> None:
    lane = granted()
    track = lane.track
    assert track is not None
    assert (track.lane, lane.lane_at) == (lane, 2.0)
    track.backlog.push(frame(7))
    track.backlog.mark(Boundary("f"))
    lane.feed(frame(6), True)
    lane.release()
    assert (lane.track, track.lane, state(lane), list(lane.unanswered)) == (None, None, LaneState.STALE, [])
    assert [f.start // FRAME_SAMPLES for f in track.preroll] == [7]
    assert (track.backlog.frames, track.backlog.boundaries) == (0, 0)


def test_a_released_lane_owes_no_boundary() -> None:
    lane = heard()
    lane.begin_flush(Boundary("f"), FLUSH_FRAMES)
    lane.release()
    assert lane.boundary is None


def test_only_a_lane_with_a_track_is_busy() -> None:
    lane = granted()
    assert lane.is_busy
    lane.release()
    assert not lane.is_busy
