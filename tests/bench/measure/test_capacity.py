"""The search for the most tracks a server holds."""

from __future__ import annotations

import pytest

from bench.measure.capacity import search


@pytest.mark.parametrize("capacity", [1, 2, 7, 60, 64, 100])
def test_the_limit_is_found_within_its_resolution(capacity: int) -> None:
    trials = search(lambda tracks: tracks <= capacity, first=1, most=200)
    held = max(trial.tracks for trial in trials if trial.held)
    assert held <= capacity <= held + max(1, round(0.06 * held))
    assert len({trial.tracks for trial in trials}) == len(trials)


def test_nothing_held() -> None:
    assert [trial.held for trial in search(lambda _tracks: False, first=1, most=64)] == [False]
    assert [trial.tracks for trial in search(lambda _tracks: False, first=4, most=64)] == [4, 2, 1]


def test_everything_held() -> None:
    assert [trial.tracks for trial in search(lambda _tracks: True, first=10, most=50)] == [10, 20, 40, 50]
