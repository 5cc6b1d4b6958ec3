"""The command around the simulation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.__main__ import main


@pytest.mark.parametrize("name", ["lanes.svg", "lanes.png"])
def test_the_command_prints_a_table_and_writes_json_and_a_plot(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot, figures = tmp_path / name, tmp_path / "lanes.json"
    options = ["--lanes", "4", "--minutes", "0.5", "--people", "4", "--rooms", "1", "2"]
    assert main(["simulate", *options, "--json", str(figures), "--plot", str(plot)]) == 0
    header, one_room, two_rooms, held = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["participants", "a", "lane"]
    assert [line.split()[0] for line in (one_room, two_rooms)] == ["4", "8"]
    assert held.startswith("held: 8 participants in meetings of 4 on 4 lanes")
    result = json.loads(figures.read_text())
    assert (result["held"], [t["participants"] for t in result["trials"]]) == (8, [4, 8])
    assert plot.stat().st_size > 2_000


def test_the_command_searches_for_the_most_that_are_held(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--lanes", "1", "--minutes", "0.5", "--people", "2", "--target-ms", "2000"]
    assert main(["simulate", *options]) == 0
    _, *rows, held = capsys.readouterr().out.splitlines()
    good = [int(row.split()[0]) for row in rows if "over" not in row]
    over = [int(row.split()[0]) for row in rows if "over" in row]
    assert held.startswith(f"held: {max(good, default=0)} participants")
    assert min(over) == max(good, default=0) + 2, "one room more is too many"
