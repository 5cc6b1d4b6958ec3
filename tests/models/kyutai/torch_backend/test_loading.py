from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.kyutai.oracle import LANES, Oracle, Schedule, Stream
from bench.kyutai.shapes import LM_SMALL, MIMI_SMALL, write_random_checkpoint
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.torch_backend.loading import device_of, dtype_of, load_encoder, load_lm, load_mimi
from captions.models.model import ModelError

CPU = torch.device("cpu")


def load_both(folder: Path) -> None:
    checkpoint = Checkpoint.find(str(folder))
    load_encoder(checkpoint, CPU)
    load_lm(checkpoint, CPU, torch.float32)


def problem(folder: Path) -> str:
    """The one line that loading the weights in `folder` ends with."""
    with pytest.raises(ModelError) as caught:
        load_both(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_checkpoint_without_pause_heads_loads(tmp_path: Path) -> None:
    folder = write_random_checkpoint(tmp_path / "plain", LM_SMALL | {"extra_heads_num_heads": 0}, MIMI_SMALL)
    checkpoint = Checkpoint.find(str(folder))
    assert checkpoint.pause_heads == 0
    assert len(load_lm(checkpoint, CPU, torch.float32).extra_heads) == 0


def test_a_checkpoint_that_states_its_languages_loads(folder: Path, configure: Callable[..., None]) -> None:
    configure(languages=["is"])
    assert load_lm(Checkpoint.find(str(folder)), CPU, torch.bfloat16).dtype == torch.bfloat16


PUBLISHED = {
    "kyutai/stt-1b-en_fr": {"extra_heads_num_heads": 0},
    "kyutai/stt-1b-en_fr-candle": {"extra_heads_num_heads": 4},
    "kyutai/stt-2.6b-en": {"extra_heads_num_heads": 0, "num_heads": 8},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_checkpoints_shaped_as_published_load_and_say_what_moshis_loop_says(name: str, tmp_path: Path) -> None:
    """The published configs state parts that they do not have, and name weights as an older moshi did."""
    folder = write_random_checkpoint(tmp_path / Path(name).name, LM_SMALL | PUBLISHED[name], MIMI_SMALL)
    config = json.loads((folder / "config.json").read_text())
    config |= {"conditioners": {}, "cross_attention": False, "fuser": None, "model_id": {"sig": "0", "epoch": 1}}
    config |= {"norm_emb": False, "demux_second_stream": False, "lm_gen_config": {"temp": 0.0}}
    del config["model_type"]
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(folder / "model.safetensors")
    old = {
        key.replace("in_projs.0.weight", "in_proj_weight").replace("out_projs.0", "out_proj"): value
        for key, value in weights.items()
    }
    assert old.keys() != weights.keys()
    save_file(old, folder / "model.safetensors")
    oracle = Oracle(folder)
    lanes = [[Stream(lane, 0, 20, True, lane)] if lane < 2 else [] for lane in range(LANES)]
    oracle.check(Schedule(lanes, []))
    assert oracle.tally.streams == 2


def test_the_encoder_is_mimi_without_its_decoder(small_checkpoint: Path) -> None:
    checkpoint = Checkpoint.find(str(small_checkpoint))
    whole = {name for name, _ in load_mimi(checkpoint, CPU).named_parameters()}
    half = {name for name, _ in load_encoder(checkpoint, CPU).named_parameters()}
    assert half == {name for name in whole if not name.startswith(("decoder", "upsample"))}
    assert half < whole


@pytest.mark.parametrize("file", ["model.safetensors", "mimi.safetensors"])
def test_a_file_that_is_no_such_thing(folder: Path, file: str) -> None:
    (folder / file).write_bytes(b"<html>not found</html>")
    assert problem(folder).startswith(f"{file} is not what the checkpoint's config describes: ")


def test_weights_of_another_shape(folder: Path, configure: Callable[..., None]) -> None:
    configure(dim=128)
    assert problem(folder).startswith("model.safetensors is not what the checkpoint's config describes: ")


def test_an_unknown_dtype() -> None:
    assert dtype_of("bfloat16", CPU) == torch.bfloat16
    with pytest.raises(ModelError, match=r"model\.dtype: 'int3' is not one of bfloat16, float16, float32"):
        dtype_of("int3", CPU)


@pytest.mark.parametrize("device", ["toaster", "meta"])
def test_an_unknown_device(device: str) -> None:
    with pytest.raises(ModelError, match=f"model.device: '{device}' is not .*; use cpu, cuda or cuda:0"):
        device_of(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_no_gpu() -> None:
    assert device_of("auto") == CPU
    with pytest.raises(ModelError, match="there is no NVIDIA GPU cuda that this PyTorch can use"):
        device_of("cuda")


def test_a_gpu_without_bfloat16_is_told_what_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    with pytest.raises(ModelError, match=r"Tesla T4 does not compute in bfloat16; use float16 or float32"):
        dtype_of("bfloat16", torch.device("cuda:0"))
    assert dtype_of("float16", torch.device("cuda:0")) == torch.float16
    assert dtype_of("auto", torch.device("cuda:0")) == torch.float16
    assert dtype_of("auto", CPU) == torch.bfloat16
