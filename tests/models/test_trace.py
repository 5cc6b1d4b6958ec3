"""A lane's time on its track's media clock, whatever silence was slipped in and wherever the clock jumped."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.models.trace import LaneTrace
from captions.types import FRAME_S, FRAME_SAMPLES, Frame, Pcm, WordTiming

QUIET: Pcm = np.zeros(FRAME_SAMPLES, np.float32)
HALF = FRAME_SAMPLES // 2


def frame(number: int, arrived_at: float = 0.0) -> Frame:
    return Frame(number * FRAME_SAMPLES, QUIET, arrived_at)


def traced(*fed: int | None, depth_frames: int = 100) -> LaneTrace:
    """A lane that was fed frames of these numbers, None for silence on no clock, a step every second."""
    trace = LaneTrace(depth_frames)
    for step, number in enumerate(fed):
        trace.fed(None if number is None else frame(number, arrived_at=step - 0.5), float(step))
    return trace


def samples(frames: float) -> int:
    return round(frames * FRAME_SAMPLES)


def test_without_silence_lane_time_is_media_time_from_the_first_frame_on() -> None:
    trace = traced(10, 11, 12)
    assert [trace.media(samples(at)) for at in (0, 0.5, 1, 2.5)] == [samples(at) for at in (10, 10.5, 11, 12.5)]
    assert trace.lane_time == samples(3)


def test_an_end_on_a_boundary_belongs_to_the_frame_before_it() -> None:
    trace = traced(10, 50)
    assert (trace.media(samples(1)), trace.media_end(samples(1))) == (samples(50), samples(11))


def test_the_prefix_lies_where_the_first_frame_starts() -> None:
    trace = traced(None, None, 10)
    assert [trace.media(samples(at)) for at in (0, 1.5, 2, 2.5)] == [samples(at) for at in (10, 10, 10, 10.5)]


def test_while_only_the_prefix_was_fed_there_is_no_clock() -> None:
    assert traced(None).media(HALF) == 0


def test_the_clock_stands_still_in_the_silence_of_a_flush() -> None:
    trace = traced(10, None, None, 11)
    assert [trace.media(samples(at)) for at in (0.5, 1, 2.9, 3, 3.5)] == [
        samples(at) for at in (10.5, 11, 11, 11, 11.5)
    ]
    assert trace.media_end(samples(3)) == samples(11) + 1


def test_a_jump_of_the_media_clock_is_followed() -> None:
    trace = traced(10, 40, 41)
    assert [trace.media(samples(at)) for at in (0.5, 1.5, 2.5)] == [samples(at) for at in (10.5, 40.5, 41.5)]


def test_after_a_reset_lane_time_starts_anew() -> None:
    trace = traced(10, 11)
    trace.reset()
    trace.fed(frame(70), 5.0)
    assert (trace.lane_time, trace.media(HALF)) == (samples(1), samples(70.5))


def test_what_lies_before_the_frames_that_are_kept_is_placed_at_the_first_of_them() -> None:
    trace = traced(10, 11, 12, 13, depth_frames=2)
    assert trace.media(samples(0)) == samples(12)
    assert trace.media(samples(3.5)) == samples(13.5)


def test_what_lies_ahead_of_the_lane_is_placed_in_its_last_frame() -> None:
    assert traced(10, 11).media(samples(7.5)) == samples(11.5)


def test_a_words_moments_are_those_of_its_own_frame_and_the_one_that_gave_it() -> None:
    trace = traced(10, 11, 12)
    assert trace.timing(samples(2), lane_at=0.2, step_at=2.0, emitted_at=2.1) == WordTiming(0.5, 1.5, 1.5, 2.0, 2.1)


def test_the_silence_of_a_flush_is_as_late_as_the_audio_before_it() -> None:
    trace = LaneTrace()
    trace.fed(frame(10, arrived_at=0.0), 7.0)
    for step in range(5):
        trace.fed(None, 7.1 + step)
    timing = trace.timing(samples(1), lane_at=5.0, step_at=11.1, emitted_at=11.2)
    assert timing.ahead_at == pytest.approx(0.1)
    assert (timing.frame_at, timing.lane_at, timing.step_at, timing.emitted_at) == (0.0, 5.0, 11.1, 11.2)


def test_what_a_frame_waited_while_the_look_ahead_came_in_is_not_counted() -> None:
    trace = LaneTrace()
    for number in range(3):
        trace.fed(frame(number, arrived_at=0.08 * number), 0.2 + 0.02 * number)
    timing = trace.timing(samples(1), lane_at=0.1, step_at=0.24, emitted_at=0.26)
    assert timing == WordTiming(0.0, 0.16, 0.16, 0.24, 0.26)


def test_a_frame_that_waited_for_a_lane_counts_its_wait() -> None:
    trace = traced(10)
    assert trace.timing(samples(1), lane_at=-0.1, step_at=0.0, emitted_at=0.1) == WordTiming(-0.5, -0.5, -0.1, 0.0, 0.1)


def test_a_word_out_of_nothing_but_the_prefix_still_has_its_moments_in_order() -> None:
    trace = traced(None, 10)
    assert trace.timing(0, lane_at=0.6, step_at=1.0, emitted_at=1.1) == WordTiming(0.0, 0.5, 0.6, 1.0, 1.1)


@given(
    fed=st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1, max_size=30),
    depth=st.integers(1, 40),
    data=st.data(),
)
def test_media_time_never_runs_backwards_and_moments_are_in_order(
    fed: list[int | None], depth: int, data: st.DataObject
) -> None:
    trace = LaneTrace(depth)
    number = 0
    for step, jump in enumerate(fed):
        number += 0 if jump is None else 1 + jump
        trace.fed(None if jump is None else frame(number, step * 0.027 - FRAME_S), step * 0.027)
    kept_from = max(0, len(fed) - depth) * FRAME_SAMPLES
    places = [trace.media(at) for at in range(kept_from, trace.lane_time, FRAME_SAMPLES // 4)]
    assert all(one <= other for one, other in pairwise(places))
    end = data.draw(st.integers(0, trace.lane_time))
    lane_at, emitted_at = data.draw(st.floats(-1, 1)), len(fed) * 0.027
    timing = trace.timing(end, lane_at, emitted_at - 0.027, emitted_at)
    moments = [timing.frame_at, timing.ahead_at, timing.lane_at, timing.step_at, timing.emitted_at]
    assert moments == sorted(moments)
    arrivals = [step * 0.027 - FRAME_S for step, jump in enumerate(fed) if jump is not None]
    assert timing.ahead_at >= max(arrivals, default=timing.ahead_at), "the frame fed last was waited for"


@pytest.mark.parametrize("end", [0, 1, HALF, FRAME_SAMPLES])
def test_an_end_is_never_before_its_start(end: int) -> None:
    trace = traced(10, 11)
    assert trace.media_end(end) >= trace.media(0)


def test_a_position_at_the_very_start_belongs_to_the_first_frame() -> None:
    trace = traced(10, 50)
    assert [trace.media_end(at) for at in (0, 1, 2)] == [samples(10), samples(10) + 1, samples(10) + 2]


def test_a_word_that_ends_just_behind_a_boundary_waited_for_the_frame_behind_it() -> None:
    trace = traced(10, 11)
    at = [trace.timing(end, 0.0, 1.0, 1.1).frame_at for end in (0, samples(1), samples(1) + 1, samples(1) + 2)]
    assert at == [-0.5, -0.5, 0.5, 0.5]


def test_a_reset_forgets_how_late_the_audio_was() -> None:
    trace = traced(10)
    trace.reset()
    trace.fed(None, 5.0)
    assert trace.timing(samples(1), 0.0, 5.0, 5.1).frame_at == 5.0
