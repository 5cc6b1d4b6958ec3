"""The first meeting with a GPU, held on a CPU with a tiny model, so that it works when a GPU comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.__main__ import main
from bench.kyutai.first_meeting import lanes_within
from bench.report.results import read


def test_a_first_meeting_checks_times_and_keeps_its_figures(tmp_path: Path) -> None:
    options = ["--device", "cpu", "--dtype", "float32", "--shape", "tiny", "--results", str(tmp_path)]
    options += ["--lanes", "1", "3", "--heard-s", "0.5", "2", "--steps", "3", "--schedules", "2"]
    assert main(["gpu", *options]) == 0
    (path,) = tmp_path.glob("*-gpu.json")
    result = read(path)
    assert [run.name for run in result.runs] == [
        "exactness",
        "captured, 0.5 s heard",
        "captured, 2 s heard",
        "eager, 0.5 s heard",
        "eager, 2 s heard",
        "memory and operations",
    ]
    exactness, captured, *_, memory = result.runs
    assert exactness.figures["oracle_tokens"].value > 0
    assert exactness.figures["equal_tokens_float32"].value == 100
    assert captured.series["step"]["lanes"] == [1, 3]
    assert captured.figures["step_3_p95"].n == 3
    assert memory.figures["operations_a_step"].value > 100
    assert memory.figures["memory_3_paper"].value > memory.figures["memory_1_paper"].value > 1


@pytest.mark.parametrize(("limit_ms", "lanes"), [(40, 8), (80, 64), (5, 0)])
def test_the_lanes_in_time_are_the_most_whose_step_is_within_the_limit(limit_ms: float, lanes: int) -> None:
    assert lanes_within(limit_ms, {1: 10.0, 8: 40.0, 64: 79.0, 128: 90.0}) == lanes
