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


@pytest.mark.parametrize("capacity", [0, 1, 5, 11, 12, 40])
def test_without_a_resolution_the_limit_is_found_exactly(capacity: int) -> None:
    trials = search(lambda rooms: rooms <= capacity, first=3, most=1_000, resolution=0.0)
    assert max((trial.tracks for trial in trials if trial.held), default=0) == capacity
    assert 0 not in [trial.tracks for trial in trials]
