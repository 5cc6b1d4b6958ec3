"""`captions models`: converting, listing and checking, on the digits checkpoint."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from captions.__main__ import main
from captions.models.load import DIGITS


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_nothing_is_converted_at_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    assert capsys.readouterr().out == ""


def test_what_is_converted_is_listed_with_its_size_and_languages(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["models", "convert", str(DIGITS), "--weights", "int8"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.parent == tmp_path / "cache" / "captions" / "models"
    (path.parent / "other.safetensors").write_bytes(b"of somebody else" * (1 << 16))
    assert main(["models", "list"]) == 0
    size = path.stat().st_size / (1 << 20)
    listed, total = capsys.readouterr().out.splitlines()
    assert listed.split() == [f"{size:.0f}", "MiB", "int8", "en", str(DIGITS.resolve())]
    assert total.split()[:2] == [f"{size + 1:.0f}", "MiB"]
    assert str(path.parent) in total


def test_a_check_reads_a_recording_twice(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "noise.wav"), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(1).normal(scale=100, size=48_000).astype(np.int16).tobytes())
    assert main(["models", "check", str(DIGITS), "--audio", str(tmp_path / "noise.wav")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[:2]] == ["float32", "int8"]
    assert lines[-1].endswith("words differ")


def test_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "convert", "/nowhere"]) == 1
    assert capsys.readouterr().err == "captions: there is no folder /nowhere\n"
