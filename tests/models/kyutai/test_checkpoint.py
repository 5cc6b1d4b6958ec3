from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.kyutai_shapes import LM_SMALL, MIMI_SMALL, write_random_checkpoint
from captions.models.kyutai.checkpoint import Checkpoint, dtype_of, pull
from captions.models.model import ModelError


@pytest.fixture
def folder(small_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint to break."""
    return Path(shutil.copytree(small_checkpoint, tmp_path / "broken"))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def configure(folder: Path, **settings: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def load_all(folder: Path) -> None:
    checkpoint = Checkpoint.find(str(folder))
    checkpoint.load_tokenizer()
    checkpoint.load_mimi(torch.device("cpu"))
    checkpoint.load_lm(torch.device("cpu"), torch.float32)


def problem(folder: Path) -> str:
    """The one line that loading everything in `folder` ends with."""
    with pytest.raises(ModelError) as caught:
        load_all(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_setting_comes_from_the_config(small_checkpoint: Path) -> None:
    checkpoint = Checkpoint.find(str(small_checkpoint))
    assert (checkpoint.delay_frames, checkpoint.prefix_frames, checkpoint.flush_frames) == (6, 13, 8)
    assert (checkpoint.pause_heads, checkpoint.padding, checkpoint.end_of_padding) == (4, 3, 0)
    assert checkpoint.languages == ("und",)


def test_a_longer_delay_and_prefix_are_taken_from_the_config(folder: Path) -> None:
    configure(folder, stt_config={"audio_delay_seconds": 2.5, "audio_silence_prefix_seconds": 2.0}, languages=["is"])
    checkpoint = Checkpoint.find(str(folder))
    assert (checkpoint.delay_frames, checkpoint.prefix_frames, checkpoint.flush_frames) == (31, 25, 33)
    assert checkpoint.languages == ("is",)


def test_a_checkpoint_without_pause_heads_loads(tmp_path: Path) -> None:
    folder = write_random_checkpoint(tmp_path / "plain", LM_SMALL | {"extra_heads_num_heads": 0}, MIMI_SMALL)
    checkpoint = Checkpoint.find(str(folder))
    assert checkpoint.pause_heads == 0
    assert len(checkpoint.load_lm(torch.device("cpu"), torch.float32).extra_heads) == 0


def test_only_the_encoder_of_mimi_is_kept(small_checkpoint: Path) -> None:
    mimi = Checkpoint.find(str(small_checkpoint)).load_mimi(torch.device("cpu"))
    assert not [name for name, _ in mimi.named_parameters() if name.startswith(("decoder", "upsample"))]


def test_kyutais_own_checkpoints_are_known_by_their_languages(folder: Path) -> None:
    named = folder.rename(folder.parent / "stt-1b-en_fr-candle")
    assert Checkpoint.find(str(named)).languages == ("en", "fr")


def test_no_folder(tmp_path: Path) -> None:
    assert problem(tmp_path / "nowhere") == f"there is no folder {tmp_path / 'nowhere'}"


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    assert problem(tmp_path) == f"{tmp_path} holds no config.json: it is not a checkpoint's folder"


def test_missing_files_are_named(folder: Path) -> None:
    (folder / "mimi.safetensors").unlink()
    (folder / "tokenizer.model").unlink()
    assert problem(folder) == f"{folder} lacks mimi.safetensors, tokenizer.model, which its config.json names"


@pytest.mark.parametrize("file", ["model.safetensors", "mimi.safetensors", "tokenizer.model"])
def test_a_file_that_is_no_such_thing(folder: Path, file: str) -> None:
    (folder / file).write_bytes(b"<html>not found</html>")
    assert problem(folder).startswith(f"{file} is not what the checkpoint's config describes: ")


def test_weights_of_another_shape(folder: Path) -> None:
    configure(folder, dim=128)
    assert problem(folder).startswith("model.safetensors is not what the checkpoint's config describes: ")


def test_a_tokenizer_with_too_few_pieces(folder: Path) -> None:
    configure(folder, text_card=8000)
    assert "48 pieces for 8000 tokens" in problem(folder)


def test_a_config_that_is_no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    assert problem(folder).startswith(f"{folder / 'config.json'} cannot be read: ")


def test_a_checkpoint_for_another_task(folder: Path) -> None:
    configure(folder, model_type="moshi")
    assert problem(folder) == "broken is not a speech-to-text checkpoint: its config.json has no stt_config"


def test_parts_that_are_not_run_are_named(folder: Path) -> None:
    configure(folder, dep_q=2, kv_repeat=4)
    assert problem(folder) == "broken needs what this version does not run: dep_q, kv_repeat in its config.json"


def test_an_unknown_dtype() -> None:
    with pytest.raises(ModelError, match=r"model\.dtype: 'int3' is not one of bfloat16, float32"):
        dtype_of("int3")


def test_no_network(no_network: None) -> None:
    with pytest.raises(ModelError, match=r"kyutai/stt-1b-en_fr-candle is not on this machine and .* cannot be reached"):
        Checkpoint.find("kyutai/stt-1b-en_fr-candle")
    with pytest.raises(ModelError, match="captions models pull kyutai/stt-2"):
        pull("kyutai/stt-2.6b-en")


def test_a_name_that_cannot_be_one(no_network: None) -> None:
    with pytest.raises(ModelError, match="there is no folder 'a/b/c', and it cannot be a name on the model hub"):
        Checkpoint.find("a/b/c")
