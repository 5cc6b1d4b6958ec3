"""Results as a page and as tables."""

from __future__ import annotations

import pytest

from bench.__main__ import main
from bench.commands.compare import ratios
from bench.measure.intervals import Figure, slope
from bench.measure.metrics import figures, measure
from bench.report.names import reading, title
from bench.report.page import to_html, to_markdown, to_markdown_changes
from bench.report.results import Result, Run, differences
from bench.servers.script import scripted_log, standard_script


def result() -> Result:
    script = standard_script()
    samples = measure(scripted_log(script), script.truth)
    series = {
        "word_latency": {"position_s": [at for at, _ in samples.word_latency_at], "ms": samples.word_latency},
        "soak": {name: [1.0, 2.0] for name in ("at_s", "resident_mb", "files", "tasks", "threads")},
        "harness": {name: [1.0, 2.0] for name in ("tracks", "late_p50", "late_p99")},
        "step": {name: [1.0, 2.0] for name in ("lanes", "p50_ms", "p95_ms")},
    }
    return Result("latency", "A <title>", {"codec": "opus"}, [Run("clip", figures(samples), series, ["a note"])])


def test_the_page_has_everything_in_it_and_fetches_nothing() -> None:
    page = to_html([result()])
    assert page.count("<svg") == 7
    assert "A &lt;title&gt;" in page
    assert "a note" in page
    assert "word latency, gold word ends, p95" in page
    for outside in ("<script", "<link", "src=", "@import"):
        assert outside not in page


def test_markdown_has_every_figure() -> None:
    text = to_markdown([result()])
    assert "| word error rate | 0.167" in text
    assert len([line for line in text.splitlines() if line.startswith("|")]) == 2 + len(result().runs[0].figures)


def test_changes_are_a_table() -> None:
    changes = list(differences(result(), result()))
    assert len(to_markdown_changes(result(), result(), changes).splitlines()) == 4 + len(changes)


@pytest.mark.parametrize(
    ("figure", "read"),
    [
        (Figure(1234.5, "ms"), "1,234 ms"),
        (Figure(2.345, "ms"), "2.3 ms"),
        (Figure(119.0, ""), "119"),
        (Figure(0.0756, ""), "0.0756"),
        (Figure(0.277, "×"), "0.277 ×"),
    ],
)
def test_readings(figure: Figure, read: str) -> None:
    assert reading(figure) == read


def test_titles() -> None:
    assert title("ttfs_p95") == "time to final segment, p95"
    assert title("ttfs_server_p50") == "time to final segment, server's own, median"
    assert title("part_lane_wait") == "of it lane wait, mean"
    assert title("end_error_abs_p50") == "word end error, absolute, median"


def test_slope() -> None:
    assert slope([0, 1, 2], [5, 7, 9]) == pytest.approx(2)
    assert slope([1], [5]) == 0


@pytest.mark.parametrize("arguments", [[], ["latency"], ["accuracy"], ["capacity"], ["all"], ["diff"]])
def test_every_command_explains_itself(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*arguments, "--help"])
    assert exit_.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


def test_a_foreseen_failure_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "none.json", "none.json"]) == 1
    assert capsys.readouterr().err == "bench: none.json: No such file or directory\n"


def test_a_comparison_is_ratios_and_points() -> None:
    ours = Run("ours", {"ttfs_p50": Figure(500, "ms"), "wer": Figure(0.08, ""), "erasure": Figure(0.1, "")})
    theirs = Run("peer", {"ttfs_p50": Figure(2_000, "ms"), "wer": Figure(0.05, ""), "erasure": Figure(0.0, "")})
    compared = ratios(ours, theirs).figures
    assert {name: (figure.value, figure.unit) for name, figure in compared.items()} == {
        "ttfs_p50": (0.25, "×"),
        "wer": (pytest.approx(3), "points"),
    }
