"""Choosing a model by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from captions.config import ModelConfig
from captions.models import load as loading
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.onnx_backend.backend import OnnxBackend
from captions.models.kyutai.onnx_backend.convert import convert
from captions.models.load import DIGITS, KYUTAI, load, resolve
from captions.models.model import ModelError, NoRoom
from captions.models.moonshine.model import MoonshineModel


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


@pytest.fixture
def without_moshi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: None)


@pytest.mark.usefixtures("without_gpu")
def test_auto_is_moonshine_without_a_gpu() -> None:
    assert resolve("auto") == "moonshine"


@pytest.mark.usefixtures("with_gpu")
def test_auto_is_kyutais_where_there_is_a_gpu_and_the_extra() -> None:
    assert resolve("auto") == KYUTAI == "kyutai/stt-1b-en_fr-candle"


@pytest.mark.usefixtures("with_gpu")
def test_auto_follows_the_device_that_the_config_names() -> None:
    assert [resolve("auto", device) for device in ("cpu", "cuda:1")] == ["moonshine", KYUTAI]


@pytest.mark.usefixtures("without_gpu")
def test_lanes_that_are_not_configured_are_as_many_as_keep_a_full_step_short(monkeypatch: pytest.MonkeyPatch) -> None:
    taken_s = {1: 0.03, 4: 0.04, 8: 0.16, 5: 0.07}
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(OnnxBackend, "full_step_s", lambda backend: taken_s[backend.lanes])
    model = load(ModelConfig(name="digits"))
    try:
        assert model.info.lanes == 5, "70 ms lie between the 40 of 4 lanes and the 160 of 8"
        assert dict(model.info.measured) == {1: 0.03, 4: 0.04, 8: 0.16}
        model.warm_up()
        assert dict(model.info.measured) == taken_s
        assert model.info.device == "the CPU, float32, 1 thread"
    finally:
        model.close()


@pytest.mark.usefixtures("without_gpu")
def test_lanes_that_find_no_memory_after_all_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def full_step_s(backend: OnnxBackend) -> float:
        if backend.lanes > 4:
            raise NoRoom("the GPU ran out of memory")
        return 0.01

    monkeypatch.setattr(OnnxBackend, "full_step_s", full_step_s)
    model = load(ModelConfig(name="digits"))
    assert (model.info.lanes, model.info.measured) == (4, ((1, 0.01), (4, 0.01)))
    model.close()


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.parametrize(("cores", "room_for", "lanes"), [(1, 100, 4), (6, 100, 24), (6, 7, 7), (6, 0, 1)])
def test_lanes_on_a_cpu_are_bounded_by_its_cores_and_its_memory(
    monkeypatch: pytest.MonkeyPatch, cores: int, room_for: int, lanes: int
) -> None:
    checkpoint = Checkpoint.find(str(DIGITS))
    paper = checkpoint.memory(4)
    lane = paper.lm_lane + paper.mimi_lane + paper.step_lane
    free = checkpoint.lm_path.stat().st_size + 2 * room_for * lane
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    monkeypatch.setattr("captions.models.kyutai.onnx_backend.loading.free_bytes", lambda: free)
    monkeypatch.setattr(OnnxBackend, "full_step_s", lambda backend: 0.01)
    monkeypatch.setattr(OnnxBackend, "warm_up", lambda backend: None)
    model = load(ModelConfig(name="digits"))
    assert model.info.lanes == lanes
    model.close()


@pytest.mark.usefixtures("without_gpu")
def test_lanes_that_are_configured_are_taken_and_only_warming_up_times_them() -> None:
    model = load(ModelConfig(name="digits", lanes=3))
    try:
        assert (model.info.lanes, model.info.measured) == (3, ())
        model.warm_up()
        assert [lanes for lanes, _ in model.info.measured] == [3]
    finally:
        model.close()


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
def test_kyutais_models_run_on_a_cpu_without_the_extra() -> None:
    model = load(ModelConfig(name="digits", lanes=1))
    model.warm_up()
    model.close()


@pytest.mark.usefixtures("without_moshi")
@pytest.mark.parametrize("name", ["digits", "kyutai/stt-1b-en_fr-candle", "/a/folder"])
def test_on_a_gpu_without_the_extra_one_line_says_what_to_install(name: str) -> None:
    with pytest.raises(ModelError) as refused:
        load(ModelConfig(name=name, device="cuda"))
    assert "pip install 'captions[kyutai]'" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("without_gpu")
def test_weights_that_a_cpu_does_not_run() -> None:
    with pytest.raises(ModelError, match="weights 'bfloat16' are not one of float32, int8, int4"):
        load(ModelConfig(name="digits", dtype="bfloat16"))


@pytest.mark.parametrize(("lane_ms", "lanes"), [(1, 6), (20, 4), (300, 2)])
def test_moonshine_has_the_lanes_asked_for_or_what_its_readings_take(
    monkeypatch: pytest.MonkeyPatch, lane_ms: float, lanes: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    monkeypatch.setattr(MoonshineModel, "lane_step_s", lambda model: lane_ms / 1e3)
    chosen, asked = load(ModelConfig(name="moonshine")), load(ModelConfig(name="moonshine", lanes=5))
    try:
        assert isinstance(chosen, MoonshineModel)
        assert (chosen.info.lanes, asked.info.lanes) == (lanes, 5)
        assert chosen.info.measured[0] == (1, lane_ms / 1e3)
    finally:
        chosen.close()
        asked.close()


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A model of Kyutai's in int8, small as it is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(loading, "SMALL_BYTES", 0)
    convert(Checkpoint.find(str(DIGITS)), "int8")


@pytest.mark.usefixtures("without_gpu", "converted")
def test_auto_takes_a_converted_model_without_a_gpu(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "captions.models.load"):
        model = load(ModelConfig(lanes=1))
    assert model.info.name == "digits"
    assert caplog.messages[-1].startswith("auto: a converted model")
    model.close()


@pytest.mark.usefixtures("without_gpu", "converted")
def test_auto_takes_moonshine_if_the_converted_model_is_not_in_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "CPU_FULL_STEP_S", 0.0)
    with caplog.at_level("INFO", "captions.models.load"):
        model = load(ModelConfig())
    assert model.info.name.startswith("moonshine")
    assert "auto: moonshine, because not one lane of the converted model is in time here" in caplog.messages
    model.close()
