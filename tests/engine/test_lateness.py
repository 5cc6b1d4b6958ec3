"""Lateness rises within seconds, forgets within seconds, and takes a hiccup for one."""

from __future__ import annotations

import pytest

from captions.engine.lateness import Lateness


def seen(lateness: Lateness, late: float, start_s: float, end_s: float, every_s: float = 0.05) -> None:
    for number in range(round((end_s - start_s) / every_s)):
        lateness.saw(late, start_s + number * every_s)


def test_what_is_always_as_late_is_that_late_however_often_it_is_looked_at() -> None:
    for every_s in (0.01, 0.05, 0.4):
        lateness = Lateness()
        seen(lateness, 0.3, 100.0, 120.0, every_s)
        assert lateness.recent(120.0) == pytest.approx(0.3, rel=0.2)


def test_a_single_hiccup_is_not_lateness() -> None:
    lateness = Lateness()
    seen(lateness, 0.0, 0.0, 10.0)
    lateness.saw(1.0, 10.0)
    assert lateness.recent(10.0) < 0.05
    lateness.saw(1.0, 500.0)
    assert lateness.recent(500.0) < 0.25, "nor is it after a long pause"


def test_it_is_forgotten_when_it_is_over_and_when_nothing_is_seen_any_more() -> None:
    recovered, silent = Lateness(), Lateness()
    for lateness in (recovered, silent):
        seen(lateness, 0.5, 0.0, 10.0)
    seen(recovered, 0.0, 10.0, 16.0)
    assert recovered.recent(16.0) < 0.05
    assert silent.recent(16.0) < 0.05
