"""A word's latency is the sum of its parts, whatever order its moments come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.stream.latency import Arrivals, WordLatency, word_latency
from captions.types import SAMPLE_RATE, WordTiming

MOMENTS = st.floats(0, 1e6)
PARTS = ("buffer", "model_delay", "lane_wait", "queue", "compute", "send")


def test_each_part_is_the_time_between_two_moments() -> None:
    timing = WordTiming(frame_at=10.05, ahead_at=10.55, lane_at=10.65, step_at=10.68, emitted_at=10.72)
    latency = word_latency(timing, arrived_at=10.0, sent_at=10.73)
    parts = [getattr(latency, part) for part in PARTS]
    assert parts == pytest.approx([0.05, 0.50, 0.10, 0.03, 0.04, 0.01])
    assert latency.total == pytest.approx(0.73)


@given(st.lists(MOMENTS, min_size=7, max_size=7).map(sorted))
def test_the_parts_add_up_to_the_total(moments: list[float]) -> None:
    arrived_at, *timing, sent_at = moments
    latency = word_latency(WordTiming(*timing), arrived_at, sent_at)
    assert latency.total == pytest.approx(sent_at - arrived_at, abs=1e-6)
    assert latency.total == pytest.approx(sum(getattr(latency, part) for part in PARTS), abs=1e-6)


@given(st.builds(WordTiming, MOMENTS, MOMENTS, MOMENTS, MOMENTS, MOMENTS), MOMENTS, MOMENTS)
def test_no_part_is_negative_whatever_the_order_of_the_moments(
    timing: WordTiming, arrived_at: float, sent_at: float
) -> None:
    latency = word_latency(timing, arrived_at, sent_at)
    assert min(getattr(latency, part) for part in PARTS) >= 0


def test_the_six_parts_are_all_there_is() -> None:
    assert WordLatency(1, 2, 3, 4, 5, 6).total == 21


def arrivals(*marks: tuple[int, float], depth: int = 4_096) -> Arrivals:
    arrived = Arrivals(depth)
    for end, at in marks:
        arrived.arrived(end, at)
    return arrived


@pytest.mark.parametrize(("position", "at"), [(0, 1.0), (1, 1.0), (480, 1.0), (481, 2.0), (960, 2.0)])
def test_a_position_arrived_with_the_packet_that_holds_it(position: int, at: float) -> None:
    assert arrivals((480, 1.0), (960, 2.0)).at(position) == at


def test_a_position_ahead_of_all_audio_arrives_in_its_own_time() -> None:
    assert arrivals((480, 1.0)).at(480 + SAMPLE_RATE) == 2.0


def test_of_audio_older_than_is_kept_the_oldest_kept_speaks() -> None:
    marks = ((480, 1.0), (960, 2.0), (1_440, 3.0), (1_920, 4.0), (2_400, 5.0))
    assert arrivals(*marks[:4], depth=2).at(100) == 1.0
    assert arrivals(*marks, depth=2).at(100) == 4.0


def test_without_audio_nothing_arrived() -> None:
    assert arrivals().at(100) == 0.0
