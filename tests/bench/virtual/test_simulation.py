"""The simulator, on a few lanes and a few minutes of virtual time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.virtual.simulation import Measured, Setting, main, most_held, simulate

SMALL = Setting(lanes=8, duration_s=60.0, spare_lanes=1)


def test_people_who_have_a_lane_each_wait_for_one_step_at_most_and_once() -> None:
    setting = Setting(lanes=20, duration_s=60.0, spare_lanes=0)
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


def test_lanes_primed_ahead_of_need_catch_up_sooner() -> None:
    setting = Setting(lanes=16, duration_s=120.0)
    without, with_spares = (simulate(8, replace(setting, spare_lanes=spare)) for spare in (0, 3))
    assert with_spares.caught_up_p95_ms < without.caught_up_p95_ms


def measured(rooms: int, p95_ms: float) -> Measured:
    return Measured(rooms * 10, 0.0, 1, 0.0, p95_ms, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1)


@pytest.mark.parametrize("most", [0, 1, 5, 11, 12, 40])
def test_bisection_finds_the_most_rooms_that_are_held(most: int) -> None:
    asked: list[int] = []

    def measure(rooms: int) -> Measured:
        asked.append(rooms)
        return measured(rooms, 90.0 if rooms <= most else 110.0)

    trials = most_held(measure, 3, 100.0)
    assert max((t.participants for t in trials if t.lane_wait_p95_ms <= 100), default=0) == most * 10
    assert sorted(asked) == [trial.participants // 10 for trial in trials]
    assert 0 not in asked


@pytest.mark.parametrize("name", ["lanes.svg", "lanes.png"])
def test_the_command_prints_a_table_and_writes_json_and_a_plot(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot, figures = tmp_path / name, tmp_path / "lanes.json"
    options = ["--lanes", "4", "--minutes", "0.5", "--people", "4", "--rooms", "1", "2"]
    assert main([*options, "--json", str(figures), "--plot", str(plot)]) == 0
    header, one_room, two_rooms, held = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["participants", "a", "lane"]
    assert [line.split()[0] for line in (one_room, two_rooms)] == ["4", "8"]
    assert held.startswith("held: 8 participants in meetings of 4 on 4 lanes")
    result = json.loads(figures.read_text())
    assert (result["held"], [t["participants"] for t in result["trials"]]) == (8, [4, 8])
    assert plot.stat().st_size > 2_000
