"""The first meeting with a GPU, held on a CPU with a tiny model, so that it works when a GPU comes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.kyutai.first_meeting import Clockwork, lanes_within
from bench.report.plots import plots
from bench.report.results import read

OPTIONS = ["--device", "cpu", "--dtype", "float32", "--shape", "tiny"]


def test_a_first_meeting_checks_times_talks_and_keeps_its_figures(tmp_path: Path) -> None:
    options = [*OPTIONS, "--results", str(tmp_path), "--lanes", "1", "3", "--heard-s", "0.5", "2"]
    options += ["--steps", "2", "--schedules", "1", "--server-s", "1"]
    assert main(["gpu", *options]) == 0
    (path,) = tmp_path.glob("*-gpu.json")
    result = read(path)
    runs = {run.name: run for run in result.runs}
    assert list(runs) == [
        "exactness",
        "fused, captured, 0.5 s heard",
        "fused, captured, 2 s heard",
        "products, captured, 0.5 s heard",
        "products, captured, 2 s heard",
        "fused, eager, 0.5 s heard",
        "fused, eager, 2 s heard",
        "launches of a step, fused",
        "launches of a step, products",
        "memory of the lanes",
        "power",
        "the server under load",
        "left out for want of time",
    ]
    assert runs["exactness"].figures["oracle_tokens"].value > 0
    assert runs["exactness"].figures["equal_tokens_float32"].value == 100
    captured = runs["fused, captured, 2 s heard"]
    assert captured.series["step"]["lanes"] == [1, 3]
    assert captured.figures["step_3_p95"].n == 2
    assert captured.figures["host_3"].value > 0
    assert captured.figures["lanes_within_80_ms"].value >= 1
    fused, products = (
        runs[f"launches of a step, {name}"].figures["operations_eager"].value for name in ("fused", "products")
    )
    assert 100 < fused < products
    memory = runs["memory of the lanes"].figures
    assert memory["memory_3_paper"].value > memory["memory_1_paper"].value > 1
    assert runs["the server under load"].figures["steps"].value > 5
    assert runs["left out for want of time"].notes == ["nothing"]
    assert {"One step by number of lanes", "The GPU's memory by number of lanes, measured and worked out on paper"} <= {
        caption for caption, _ in plots(result)
    }


def test_a_budget_keeps_what_comes_after() -> None:
    now = [0.0]
    clockwork = Clockwork(100.0, lambda: now[0])
    assert clockwork.has(20.0, "steps", keep_s=75.0)
    now[0] = 10.0
    assert not clockwork.has(20.0, "more steps", keep_s=75.0)
    assert clockwork.has(75.0, "the server")
    assert clockwork.left_out == ["more steps"]
    now[0] = 200.0
    assert clockwork.left_s == 0


@pytest.mark.parametrize(("limit_ms", "lanes"), [(40, 8), (59.5, 32), (80, 64), (100, 128), (5, 0)])
def test_the_lanes_in_time_lie_between_the_measured_ones(limit_ms: float, lanes: int) -> None:
    assert lanes_within(limit_ms, {1: 10.0, 8: 40.0, 64: 79.0, 128: 90.0}) == lanes


def test_it_needs_no_more_than_the_kyutai_extra() -> None:
    """What the other extras bring is not there for whoever has only a GPU."""
    absent = "import sys; sys.modules.update(dict.fromkeys(('hypothesis', 'jiwer', 'matplotlib', 'pytest')));"
    ran = f"{absent} import bench.commands.gpu, bench.kyutai.first_meeting, bench.kyutai.under_load"
    ran += ", bench.kyutai.shapes, bench.servers.server_process, bench.__main__"
    subprocess.run([sys.executable, "-c", ran], check=True)
