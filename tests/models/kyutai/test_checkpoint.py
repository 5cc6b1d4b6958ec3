from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.load import DIGITS
from captions.models.model import ModelError


def problem(folder: Path) -> str:
    """The one line that reading the checkpoint in `folder` ends with."""
    with pytest.raises(ModelError) as caught:
        Checkpoint.find(str(folder)).load_tokenizer()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_setting_comes_from_the_config(small_checkpoint: Path) -> None:
    checkpoint = Checkpoint.find(str(small_checkpoint))
    assert (checkpoint.delay_frames, checkpoint.prefix_frames, checkpoint.flush_frames) == (6, 13, 8)
    assert (checkpoint.pause_heads, checkpoint.padding, checkpoint.end_of_padding) == (4, 3, 0)
    assert checkpoint.languages == ("und",)


def test_a_longer_delay_and_prefix_are_taken_from_the_config(folder: Path, configure: Callable[..., None]) -> None:
    configure(stt_config={"audio_delay_seconds": 2.5, "audio_silence_prefix_seconds": 2.0}, languages=["is"])
    checkpoint = Checkpoint.find(str(folder))
    assert (checkpoint.delay_frames, checkpoint.prefix_frames, checkpoint.flush_frames) == (31, 25, 33)
    assert checkpoint.languages == ("is",)


def test_kyutais_own_checkpoints_are_known_by_their_languages(folder: Path) -> None:
    named = folder.rename(folder.parent / "stt-1b-en_fr-candle")
    assert Checkpoint.find(str(named)).languages == ("en", "fr")


def test_weights_of_another_width_are_counted_in_it(small_checkpoint: Path) -> None:
    checkpoint = Checkpoint.find(str(small_checkpoint))
    narrow, wide = checkpoint.memory(2), checkpoint.memory(4)
    assert wide.weights - narrow.weights == checkpoint.lm_path.stat().st_size
    assert wide.lm_lane == 2 * narrow.lm_lane


def test_no_folder(tmp_path: Path) -> None:
    assert problem(tmp_path / "nowhere") == f"there is no folder {tmp_path / 'nowhere'}"


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    assert problem(tmp_path) == f"{tmp_path} holds no config.json: it is not a checkpoint's folder"


def test_missing_files_are_named(folder: Path) -> None:
    (folder / "mimi.safetensors").unlink()
    (folder / "tokenizer.model").unlink()
    assert problem(folder) == f"{folder} lacks mimi.safetensors, tokenizer.model, which its config.json names"


def test_a_tokenizer_that_is_none(folder: Path) -> None:
    (folder / "tokenizer.model").write_bytes(b"<html>not found</html>")
    assert problem(folder).startswith("tokenizer.model is not what the checkpoint's config describes: ")


def test_a_tokenizer_with_too_few_pieces(folder: Path, configure: Callable[..., None]) -> None:
    configure(text_card=8000)
    assert "48 pieces for 8000 tokens" in problem(folder)


@pytest.mark.parametrize("file", ["config.json", "mimi.json"])
def test_a_config_that_is_no_json(folder: Path, file: str) -> None:
    (folder / file).write_text("{")
    assert problem(folder).startswith(f"{folder / file} cannot be read: ")


def test_a_config_that_is_a_list(folder: Path) -> None:
    (folder / "config.json").write_text("[]")
    assert "it should hold one JSON object" in problem(folder)


def test_a_delay_that_is_no_number(folder: Path, configure: Callable[..., None]) -> None:
    configure(stt_config={"audio_delay_seconds": None})
    assert problem(folder).startswith("broken is not what the checkpoint's config describes: ")


def test_a_checkpoint_for_another_task(folder: Path, configure: Callable[..., None]) -> None:
    configure(model_type="moshi")
    assert problem(folder) == "broken is not a speech-to-text checkpoint: its config.json has no stt_config"


def test_a_checkpoint_is_read_without_torch_and_moshi() -> None:
    """A backend that needs neither reads the same checkpoint, where neither is installed."""
    check = f"""
import sys
sys.modules |= dict.fromkeys(("torch", "moshi"))  # whoever imports them now gets an ImportError
import captions.models.kyutai.model, captions.models.kyutai.hub
from captions.models.kyutai.checkpoint import Checkpoint
checkpoint = Checkpoint.find({str(DIGITS)!r})
checkpoint.load_tokenizer()
print(checkpoint.languages, checkpoint.memory(4).total(8) > 0)
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "('en',) True"
