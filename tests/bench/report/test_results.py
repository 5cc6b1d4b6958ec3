"""Results are kept as they are, and compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.measure.intervals import Figure
from bench.report.results import Result, ResultError, Run, differences, keep, latest, read


def result(value: float, low: float, high: float, at: str = "2026-01-02T03:04:05Z") -> Result:
    figures = {"wer": Figure(value, "", low, high, 12), "words": Figure(119, "")}
    return Result(
        "latency", "A title", {"codec": "opus"}, [Run("clip", figures, {"a": {"ms": [1.0]}})], at, {"cores": "2"}
    )


def test_a_result_is_read_as_it_was_kept(tmp_path: Path) -> None:
    path = keep(result(0.1, 0.05, 0.2), tmp_path)
    assert path.name == "20260102-030405-latency.json"
    assert read(path) == result(0.1, 0.05, 0.2)


def test_the_latest_of_each(tmp_path: Path) -> None:
    keep(result(0.1, 0.05, 0.2), tmp_path)
    newer = keep(result(0.1, 0.05, 0.2, "2026-01-03T00:00:00Z"), tmp_path)
    assert latest(tmp_path) == [newer]


def test_what_is_no_result_says_so(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="No such file"):
        read(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ResultError, match=r"bad\.json"):
        read(tmp_path / "bad.json")


@pytest.mark.parametrize(
    ("after", "verdict"),
    [((0.3, 0.25, 0.4), "worse"), ((0.02, 0.01, 0.04), "better"), ((0.15, 0.1, 0.3), "")],
)
def test_a_change_counts_when_the_intervals_do_not_touch(after: tuple[float, float, float], verdict: str) -> None:
    wer, words = differences(result(0.1, 0.05, 0.2), result(*after))
    assert (wer.figure, wer.verdict) == ("wer", verdict)
    assert wer.ratio == pytest.approx(after[0] / 0.1)
    assert words.verdict == ""
