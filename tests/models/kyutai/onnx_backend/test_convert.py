"""Converting a checkpoint: known by what it was made from, and never half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.onnx_backend import loading
from captions.models.kyutai.onnx_backend.convert import cache_folder, convert, converted_path
from captions.models.kyutai.onnx_backend.tensors import Tensors
from captions.models.model import ModelError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder()


def find(folder: Path) -> Checkpoint:
    return Checkpoint.find(str(folder))


def problem(folder: Path) -> str:
    """The one line that converting the checkpoint in `folder` ends with."""
    with pytest.raises(ModelError) as caught:
        convert(find(folder), "int8")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_it_is_done_once_with_progress(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    path = convert(find(folder), "int8", lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] < path.stat().st_size
    assert Tensors(path).metadata["weights"] == "int8"
    before = path.stat()
    assert convert(find(folder), "int8") == path
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_a_copy_of_the_checkpoint_needs_no_second_conversion(folder: Path, small_checkpoint: Path) -> None:
    assert (
        converted_path(find(folder), "int8").name.split(".")[2]
        == (converted_path(find(small_checkpoint), "int8").name.split(".")[2])
    )


def test_other_weights_settings_or_precision_are_another_conversion(
    folder: Path, configure: Callable[..., None]
) -> None:
    names = {converted_path(find(folder), kind) for kind in ("int8", "int4", "float32")}
    configure(max_period=5_000.0)
    names.add(converted_path(find(folder), "int8"))
    weights = load_file(folder / "model.safetensors")
    weights["out_norm.alpha"] += 1
    save_file(weights, folder / "model.safetensors")
    names.add(converted_path(find(folder), "int8"))
    assert len(names) == 5


def test_a_newer_conversion_of_the_same_source_is_instead_of_the_older(
    folder: Path, small_checkpoint: Path, configure: Callable[..., None], own_cache: Path
) -> None:
    _, other_weights, others = convert(find(folder), "int8"), convert(find(folder), "int4"), own_cache / "x.safetensors"
    others.write_bytes(b"of somebody else")
    configure(max_period=5_000.0)
    newer, of_a_copy = convert(find(folder), "int8"), convert(find(small_checkpoint), "int8")
    assert set(own_cache.glob("*")) == {other_weights, others, newer, of_a_copy}


def test_the_first_start_says_how_far_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loading, "SMALL_BYTES", 0)
    caplog.set_level("INFO")
    for _ in range(2):
        loading.load_backend(find(folder), 1, "int8").close()
    percent = [record.__dict__["percent"] for record in caplog.records if record.message == "converting"]
    assert percent == sorted(set(percent))
    assert percent[-1] == 100


def test_a_conversion_that_is_killed_leaves_nothing_that_is_used(folder: Path, own_cache: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from captions.models.kyutai.checkpoint import Checkpoint\n"
        "from captions.models.kyutai.onnx_backend.convert import convert\n"
        "kill = lambda done, total: done * 2 > total and os.kill(os.getpid(), signal.SIGKILL)\n"
        "convert(Checkpoint.find(sys.argv[1]), 'int8', kill)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(folder)], env=dict(os.environ), check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path for path in own_cache.iterdir() if not path.name.endswith(".part")] == []
    convert(find(folder), "int8")
    assert [path.suffix for path in own_cache.iterdir()] == [".safetensors"]


def test_two_at_once_convert_once(folder: Path) -> None:
    converting, times = threading.Barrier(2), []

    def tell(done: int, total: int) -> None:
        times.append(done)

    def run() -> None:
        converting.wait()
        convert(find(folder), "int8", tell)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert times == sorted(set(times))


def test_an_error_leaves_nothing(folder: Path, own_cache: Path) -> None:
    def fail(done: int, total: int) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        convert(find(folder), "int8", fail)
    assert [path.stat().st_size for path in own_cache.iterdir()] == [0]


def test_a_place_that_takes_no_files(folder: Path, own_cache: Path) -> None:
    own_cache.parent.mkdir(parents=True)
    own_cache.touch()
    assert problem(folder).startswith(f"{own_cache} cannot take the converted weights: ")


@pytest.mark.parametrize("file", ["model.safetensors", "mimi.safetensors"])
def test_a_file_that_is_no_such_thing(folder: Path, file: str) -> None:
    (folder / file).write_bytes(b"<html>not found</html>")
    assert problem(folder).startswith(f"{file} is not what the checkpoint's config describes: ")


@pytest.mark.parametrize("settings", [{"dim": 128}, {"num_layers": 4}, {"text_card": 49}, {"n_q": 7}])
def test_weights_of_another_shape(folder: Path, configure: Callable[..., None], settings: dict[str, Any]) -> None:
    configure(**settings)
    assert problem(folder).startswith("model.safetensors is not what the checkpoint's config describes: ")


def test_a_mimi_that_is_not_run(folder: Path) -> None:
    mimi = json.loads((folder / "mimi.json").read_text())
    mimi["seanet"]["norm"] = "weight_norm"
    (folder / "mimi.json").write_text(json.dumps(mimi))
    assert "this version does not run Mimi's seanet.norm" in problem(folder)


def test_an_unknown_precision(folder: Path) -> None:
    with pytest.raises(ModelError, match="weights 'int3' are not one of float32, int8, int4"):
        convert(find(folder), "int3")


@pytest.mark.parametrize(("weights", "most"), [("int8", 0.5001), ("int4", 1.0001)])
def test_a_rounded_weight_is_off_by_so_many_steps_at_most(folder: Path, weights: str, most: float) -> None:
    """Of 4 bits, a value opposite the farthest may have no step of its own."""
    name = "transformer.layers.0.gating.linear_in.weight"
    full = load_file(folder / "model.safetensors")[name].float().numpy()
    tensors = Tensors(convert(find(folder), weights))
    scale, steps = tensors.float32(f"lm.{name}.scale"), np.asarray(tensors[f"lm.{name}"])
    if weights == "int4":
        steps = np.stack([steps & 15, steps >> 4], -1).reshape(len(full), -1)
    zero = {"int8": 128, "int4": 8}[weights]
    back = (steps.reshape(*scale.shape, -1).astype(np.float32) - zero) * scale[:, :, None]
    assert (np.abs(back.reshape(len(full), -1)[:, : full.shape[1]] - full).max(1) <= np.abs(scale).max(1) * most).all()
