"""How soon a process that has ended is started anew, and when it is given up."""

from __future__ import annotations

from captions.server.restarts import Restarts


def test_at_once_then_after_twice_as_long_each_time_then_never() -> None:
    restarts = Restarts()
    assert [restarts.wait_s(1.0) for _ in range(7)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, None]


def test_who_ran_for_a_minute_has_recovered() -> None:
    restarts = Restarts()
    assert [restarts.wait_s(ran_s) for ran_s in (1.0, 1.0, 60.0, 1.0)] == [0.1, 0.2, 0.1, 0.2]
