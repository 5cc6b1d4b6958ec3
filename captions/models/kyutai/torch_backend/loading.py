"""A checkpoint's weights as moshi's modules, and the device and type they are loaded in."""

from __future__ import annotations

import torch
from moshi.models import LMModel, MimiModel, loaders

from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.files import wrong_files
from captions.models.model import ModelError

__all__ = ["device_of", "dtype_of", "load_encoder", "load_lm", "load_mimi"]

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}

NO_PART_OF_THE_MODEL = ("languages", "conditioners", "fuser", "cross_attention")
"""Settings that moshi is not shown: ours, and those of parts that `config.check` has found to be absent."""

BFLOAT16_CAPABILITY = 8
"""The first generation of GPUs (Ampere) that computes in bfloat16; a T4 (7.5) and a V100 (7.0) do not."""


def dtype_of(name: str, device: torch.device) -> torch.dtype:
    """The configured dtype of the language model on `device`; "auto" is bfloat16, or float16 where a GPU has none.

    Mimi is always float32.

    Raises:
        ModelError: it is not one of `DTYPES`, or the device does not compute in it.
    """
    has_bfloat16 = device.type != "cuda" or torch.cuda.get_device_capability(device)[0] >= BFLOAT16_CAPABILITY
    if name == "auto":
        name = "bfloat16" if has_bfloat16 else "float16"
    if name not in DTYPES:
        raise ModelError(f"model.dtype: {name!r} is not one of {', '.join(DTYPES)}")
    if name == "bfloat16" and not has_bfloat16:
        gpu = torch.cuda.get_device_name(device)
        raise ModelError(f"model.dtype: {gpu} does not compute in bfloat16; use float16 or float32")
    return DTYPES[name]


def device_of(name: str) -> torch.device:
    """The configured device: "cuda" (the first GPU), "cuda:1", "cpu", or "auto", which takes a GPU if there is one.

    Raises:
        ModelError: it is no such device, or this machine has none.
    """
    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
    except RuntimeError:
        raise ModelError(f"model.device: {name!r} is not a device; use cpu, cuda or cuda:0") from None
    if device.type not in {"cpu", "cuda"}:
        raise ModelError(f"model.device: {name!r} is not supported; use cpu, cuda or cuda:0")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"model.device: there is no NVIDIA GPU {device} that this PyTorch can use")
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def load_lm(checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> LMModel:
    """The language model in evaluation mode, its weights in `dtype` on `device`.

    Raises:
        ModelError: the file is not what the config describes.
    """
    with wrong_files(checkpoint.lm_path.name, torch.OutOfMemoryError):
        return _moshis(checkpoint).get_moshi(device=device, dtype=dtype)


def load_mimi(checkpoint: Checkpoint, device: torch.device) -> MimiModel:
    """The whole of Mimi in evaluation mode, in float32 on `device`.

    Raises:
        ModelError: the file is not what the config describes.
    """
    with wrong_files(checkpoint.mimi_path.name, torch.OutOfMemoryError):
        return _moshis(checkpoint).get_mimi(device=device)


def load_encoder(checkpoint: Checkpoint, device: torch.device) -> MimiModel:
    """Mimi's encoder half, as `load_mimi`. The decoder half is dropped before anything goes to `device`."""
    mimi = load_mimi(checkpoint, torch.device("cpu"))
    mimi.decoder = torch.nn.Identity()
    mimi.decoder_transformer = None
    if hasattr(mimi, "upsample"):
        del mimi.upsample
    return mimi.to(device)


def _moshis(checkpoint: Checkpoint) -> loaders.CheckpointInfo:
    """The same checkpoint as moshi describes it."""
    info = loaders.CheckpointInfo.from_hf_repo(
        checkpoint.name,
        moshi_weights=checkpoint.lm_path,
        mimi_weights=checkpoint.mimi_path,
        tokenizer=checkpoint.tokenizer_path,
        config_path=checkpoint.config_path,
        mimi_config_path=checkpoint.mimi_config_path,
    )
    for setting in NO_PART_OF_THE_MODEL:
        info.lm_config.pop(setting, None)
    return info
