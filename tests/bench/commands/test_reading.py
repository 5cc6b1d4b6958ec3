"""`bench reading`, on a second and a half of speech."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.load.clips import Clip, beckett


def test_each_recording_is_heard_as_often_as_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def short() -> Clip:
        return beckett().cut(0.0, 1.5)

    monkeypatch.setattr("bench.commands.reading.two_cities", short)
    monkeypatch.setattr("bench.commands.reading.beckett", short)
    written = tmp_path / "reading.json"
    assert main(["reading", "--times", "2", "--warm-up", "0", "--json", str(written)]) == 0
    rows = json.loads(written.read_bytes())
    assert [(row["clip"], row["times"], row["wer_of_each"]) for row in rows] == [("beckett", 2, [0.0, 0.0])] * 2
    assert all(0 < row["cores"] < 1 and 0 < row["word_latency_p95"] < 5_000 for row in rows)
