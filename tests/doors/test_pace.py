"""How fast somebody may do what costs the server something: a burst at once, then no faster than the pace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.doors.pace import Pace


def test_a_burst_is_free_and_what_comes_behind_it_waits() -> None:
    pace = Pace(10.0, 5.0)
    assert [pace.wait_s(100.0) for _ in range(5)] == [0.0] * 5
    assert [pace.wait_s(100.0) for _ in range(2)] == pytest.approx([0.1, 0.2])


def test_who_rested_has_a_burst_again_and_no_more() -> None:
    pace = Pace(10.0, 5.0)
    for _ in range(5):
        pace.wait_s(0.0)
    assert [pace.wait_s(1_024.0) for _ in range(5)] == pytest.approx([0.0] * 5)
    assert pace.wait_s(1_024.0) == pytest.approx(0.1)


@given(st.lists(st.floats(0, 1), max_size=200))
def test_whoever_waits_as_told_is_no_faster_than_the_pace(pauses: list[float]) -> None:
    pace, now = Pace(10.0, 5.0), 50.0
    began_at = now
    for done, pause in enumerate(pauses, 1):
        now += pause
        now += pace.wait_s(now)
        assert done <= (now - began_at) * 10.0 + 5.0 + 1e-6
