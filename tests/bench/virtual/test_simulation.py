"""The simulator, on a few lanes and a few minutes of virtual time."""

from __future__ import annotations

from dataclasses import replace

from bench.virtual.simulation import Setting, simulate

SMALL = Setting(lanes=8, duration_s=60.0)


def test_people_who_have_a_lane_each_wait_for_one_step_at_most_and_once() -> None:
    setting = Setting(lanes=20, duration_s=60.0)
    measured = simulate(2, setting)
    assert (measured.participants, measured.participants_per_lane) == (20, 1.0)
    assert measured.lane_wait_p99_ms <= 27.0
    assert measured.spurts - measured.kept * measured.spurts <= 20.01
    assert measured.dropped_s == 0


def test_the_more_people_the_longer_the_wait_and_the_busier_the_lanes() -> None:
    few, many, too_many = (simulate(rooms, SMALL) for rooms in (2, 6, 12))
    assert few.lane_wait_p95_ms <= many.lane_wait_p95_ms < too_many.lane_wait_p95_ms
    assert few.busy < many.busy < too_many.busy
    assert too_many.lane_wait_p95_ms > 1_000


def test_every_spurt_is_counted_once_and_the_same_seed_gives_the_same_figures() -> None:
    assert simulate(3, SMALL) == simulate(3, SMALL)
    assert simulate(3, SMALL).spurts == simulate(3, replace(SMALL, lanes=4)).spurts
