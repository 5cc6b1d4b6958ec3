"""A checkpoint of Kyutai's speech-to-text: found on the model hub or in a folder, checked, and loaded.

Everything that depends on the checkpoint is read from its own config.json. Of Mimi only the encoder half is kept.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from huggingface_hub.utils import logging as hub_logging
from moshi.models import LMModel, MimiModel, loaders
from safetensors import SafetensorError

from captions.models.kyutai.memory import Memory, memory_of
from captions.models.kyutai.words import END_OF_PADDING, PADDING
from captions.models.model import ModelError
from captions.types import FRAMES_PER_SECOND, frames_in

__all__ = ["Checkpoint", "dtype_of", "pull"]

CONFIG_NAME = "config.json"
LEAST_PREFIX_S = 1.0
"""Fed audio that begins inside a word, the 1B can stay silent for the whole utterance; silence in front cures it."""

CLOSING_FRAMES = 2
"""A flush's frames beyond the delay: the delay's fraction of a frame, and the step on which a last word closes."""

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
LANGUAGES = {"stt-1b-en_fr": ("en", "fr"), "stt-2.6b-en": ("en",), "digits": ("en",)}
UNKNOWN_LANGUAGE = ("und",)


def dtype_of(name: str) -> torch.dtype:
    """The configured dtype of the language model; Mimi is always float32."""
    if name not in DTYPES:
        raise ModelError(f"model.dtype: {name!r} is not one of {', '.join(DTYPES)}")
    return DTYPES[name]


def pull(name: str) -> Path:
    """Bring all files of a checkpoint on the model hub onto this machine, with a progress bar for each.

    Returns the folder they are in. Files that are here already are not brought again.

    Raises:
        ModelError: no network, no such model, or not a checkpoint of this kind.
    """
    config = _hub_file(name, CONFIG_NAME)
    for file in _file_names(_read_json(config)).values():
        _hub_file(name, file)
    return config.parent


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint whose files are on this machine and whose config has been checked.

    `delay_frames`: 0.5 s are 6 frames, as Kyutai's own server has it; with the whole frames below the delay its word
    times come out unbiased. `prefix_frames`: at least a second of silence. `pause_heads` may be 0.
    """

    name: str
    info: loaders.CheckpointInfo
    mimi_config: dict[str, Any]
    languages: tuple[str, ...]
    delay_frames: int
    prefix_frames: int
    pause_heads: int
    padding: int
    end_of_padding: int

    @classmethod
    def find(cls, name_or_folder: str) -> Checkpoint:
        """Find a checkpoint, bringing it from the model hub if it is not here yet.

        Raises:
            ModelError: no network, missing files, or files of something else.
        """
        folder = Path(name_or_folder).expanduser()
        if folder.is_dir():
            name, config_path = folder.resolve().name, folder / CONFIG_NAME
            if not config_path.is_file():
                raise ModelError(f"{folder} holds no {CONFIG_NAME}: it is not a checkpoint's folder")
            config = _read_json(config_path)
            paths = {role: folder / file for role, file in _file_names(config).items()}
            missing = sorted(path.name for path in paths.values() if not path.is_file())
            if missing:
                raise ModelError(f"{folder} lacks {', '.join(missing)}, which its {CONFIG_NAME} names")
        else:
            if folder.is_absolute() or name_or_folder.startswith(("./", "../", "~")):
                raise ModelError(f"there is no folder {folder}")
            name, config_path = name_or_folder, _hub_file(name_or_folder, CONFIG_NAME)
            config = _read_json(config_path)
            paths = {role: _hub_file(name, file) for role, file in _file_names(config).items()}
        return cls._of(name, config_path, config, paths)

    @classmethod
    def _of(cls, name: str, config_path: Path, config: dict[str, Any], paths: dict[str, Path]) -> Checkpoint:
        _check(name, config)
        with _wrong_files(name):
            info = loaders.CheckpointInfo.from_hf_repo(
                name,
                moshi_weights=paths["moshi_name"],
                mimi_weights=paths["mimi_name"],
                tokenizer=paths["tokenizer_name"],
                config_path=config_path,
                mimi_config_path=paths.get("mimi_config_name"),
            )
            info.lm_config.pop("languages", None)
            stt = config["stt_config"]
            return cls(
                name=name,
                info=info,
                mimi_config=info.mimi_config or loaders._mimi_config,
                languages=_languages(name, config),
                delay_frames=int(stt["audio_delay_seconds"] * FRAMES_PER_SECOND),
                prefix_frames=frames_in(max(LEAST_PREFIX_S, stt.get("audio_silence_prefix_seconds", 0.0))),
                pause_heads=config.get("extra_heads_num_heads", 0),
                padding=config.get("existing_text_padding_id", PADDING),
                end_of_padding=config.get("existing_text_end_padding_id", END_OF_PADDING),
            )

    @property
    def flush_frames(self) -> int:
        """Silence that brings the last words out."""
        return self.delay_frames + CLOSING_FRAMES

    def memory(self, dtype: torch.dtype) -> Memory:
        """What it takes, on paper. Mimi's file holds a decoder half of about the encoder's size, which goes."""
        lm_file, mimi_file = self.info.moshi_weights.stat().st_size, self.info.mimi_weights.stat().st_size
        weights = lm_file * dtype.itemsize // torch.bfloat16.itemsize + mimi_file * 6 // 10
        return memory_of(self.info.lm_config, self.mimi_config, weights, dtype.itemsize)

    def load_tokenizer(self) -> sentencepiece.SentencePieceProcessor:
        """The tokenizer, which has a piece for every token the model can say."""
        with _wrong_files(self.info.tokenizer.name):
            tokenizer: sentencepiece.SentencePieceProcessor = self.info.get_text_tokenizer()
            pieces, tokens = tokenizer.get_piece_size(), self.info.lm_config["text_card"]
            if pieces < tokens:
                raise ValueError(f"{pieces} pieces for {tokens} tokens")
            return tokenizer

    def load_lm(self, device: torch.device, dtype: torch.dtype) -> LMModel:
        """The language model in evaluation mode, its weights in `dtype` on `device`."""
        with _wrong_files(self.info.moshi_weights.name):
            return self.info.get_moshi(device=device, dtype=dtype)

    def load_mimi(self, device: torch.device) -> MimiModel:
        """Mimi's encoder half in evaluation mode, in float32 on `device`."""
        with _wrong_files(self.info.mimi_weights.name):
            mimi = self.info.get_mimi(device="cpu")
        mimi.decoder = torch.nn.Identity()
        mimi.decoder_transformer = None
        if hasattr(mimi, "upsample"):
            del mimi.upsample
        return mimi.to(device)


def _check(name: str, config: dict[str, Any]) -> None:
    """Refuse what the step does not run: other tasks, and parts that no speech-to-text checkpoint has."""
    if config.get("model_type") != "stt" or "audio_delay_seconds" not in config.get("stt_config", {}):
        raise ModelError(f"{name} is not a speech-to-text checkpoint: its {CONFIG_NAME} has no stt_config")
    wants = {
        "dep_q": config.get("dep_q", 0) == 0,
        "delays": not any(config.get("delays", ())),
        "conditioners": not config.get("conditioners"),
        "cross_attention": not config.get("cross_attention"),
        "kv_repeat": config.get("kv_repeat", 1) == 1,
        "positional_embedding": config.get("positional_embedding") in {"rope", "none"},
        "context": bool(config.get("context")),
        "quantize": not config.get("quantize"),
        "lora": not config.get("lora") and not config.get("lora_name"),
    }
    unknown = [setting for setting, runs in wants.items() if not runs]
    if unknown:
        raise ModelError(f"{name} needs what this version does not run: {', '.join(unknown)} in its {CONFIG_NAME}")


def _languages(name: str, config: dict[str, Any]) -> tuple[str, ...]:
    known = next((languages for part, languages in LANGUAGES.items() if part in name), UNKNOWN_LANGUAGE)
    return tuple(config.get("languages", known))


def _file_names(config: dict[str, Any]) -> dict[str, str]:
    """The checkpoint's files by role, with moshi's defaults; Mimi's config may be left out for Kyutai's own Mimi."""
    names = {
        "moshi_name": config.get("moshi_name", loaders.MOSHI_NAME),
        "mimi_name": config.get("mimi_name", loaders.MIMI_NAME),
        "tokenizer_name": config.get("tokenizer_name", loaders.TEXT_TOKENIZER_NAME),
        "mimi_config_name": config.get("mimi_config_name"),
    }
    return {role: file for role, file in names.items() if file is not None}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {_line(error)}") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path} is not a checkpoint's config: it should hold one JSON object")
    return value


def _hub_file(name: str, file: str) -> Path:
    """Without a network this takes some 20 s of retries, which the hub's package would each tell in five lines."""
    hub_logging.set_verbosity_error()
    try:
        return Path(hf_hub_download(name, file))
    except LocalEntryNotFoundError:
        raise ModelError(
            f"{name} is not on this machine and the model hub cannot be reached; "
            f"where it can: captions models pull {name}"
        ) from None
    except EntryNotFoundError:
        raise ModelError(f"{name} on the model hub has no {file}: it is not a checkpoint of this kind") from None
    except HFValidationError:
        raise ModelError(f"there is no folder {name!r}, and it cannot be a name on the model hub") from None
    except HfHubHTTPError as error:
        raise ModelError(f"the model hub does not give out {name}: {_line(error)}") from None
    except OSError as error:
        raise ModelError(f"{file} of {name} could not be brought from the model hub: {_line(error)}") from None


@contextlib.contextmanager
def _wrong_files(what: str) -> Iterator[None]:
    """Whatever moshi, torch, safetensors and sentencepiece raise over files that do not fit, as one line."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (SafetensorError, RuntimeError, OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise ModelError(f"{what} is not what the checkpoint's config describes: {_line(error)}") from error


def _line(error: BaseException) -> str:
    """The first line that says something of an exception's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
