"""Choosing a model by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from captions.config import ModelConfig
from captions.models import load as loading
from captions.models.load import DIGITS, KYUTAI, load, resolve
from captions.models.model import ModelError
from captions.models.moonshine import MoonshineModel


@pytest.fixture
def without_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_NVIDIA_DRIVER", tmp_path / "missing")


@pytest.fixture
def with_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "version").touch()
    monkeypatch.setattr(loading, "_NVIDIA_DRIVER", tmp_path / "version")


@pytest.fixture
def without_moshi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: None)


@pytest.mark.usefixtures("without_gpu")
def test_auto_is_moonshine_without_a_gpu() -> None:
    assert resolve("auto") == "moonshine"


@pytest.mark.usefixtures("with_gpu")
def test_auto_is_kyutais_where_there_is_a_gpu_and_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: object())
    assert resolve("auto") == KYUTAI == "kyutai/stt-1b-en_fr-candle"


@pytest.mark.usefixtures("with_gpu", "without_moshi")
def test_auto_is_moonshine_where_the_extra_is_missing() -> None:
    assert resolve("auto") == "moonshine"


def test_other_names_stand_for_themselves() -> None:
    assert [resolve(name) for name in ("moonshine", "someone/stt", "/a/folder")] == [
        "moonshine",
        "someone/stt",
        "/a/folder",
    ]
    assert resolve("digits") == str(DIGITS)


@pytest.mark.usefixtures("without_moshi")
@pytest.mark.parametrize("name", ["digits", "kyutai/stt-1b-en_fr-candle", "/a/folder"])
def test_kyutais_models_without_the_extra_are_one_line_that_says_what_to_install(name: str) -> None:
    with pytest.raises(ModelError) as refused:
        load(ModelConfig(name=name))
    assert "pip install 'captions[kyutai]'" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_moonshine_has_the_lanes_asked_for_or_what_suits_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    chosen, asked = load(ModelConfig(name="moonshine")), load(ModelConfig(name="moonshine", lanes=5))
    try:
        assert isinstance(chosen, MoonshineModel)
        assert (chosen.info.lanes, asked.info.lanes) == (6, 5)
    finally:
        chosen.close()
        asked.close()
