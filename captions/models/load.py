"""Choosing and loading a model by name, without importing what the others need."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from captions.config import ModelConfig
from captions.models.model import Model, ModelError

__all__ = ["DIGITS", "KYUTAI", "load", "resolve"]

KYUTAI = "kyutai/stt-1b-en_fr-candle"
DIGITS = Path(__file__).parent / "digits"
MOONSHINE_LANES_PER_CORE = 2
KYUTAI_LANES = 64
KYUTAI_LANES_CPU = 8
_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def has_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU with a driver."""
    return _NVIDIA_DRIVER.exists()


def resolve(name: str) -> str:
    """What "auto" and "digits" stand for on this machine: "moonshine", a name on the model hub, or a folder."""
    if name == "auto":
        return KYUTAI if has_gpu() and find_spec("moshi") is not None else "moonshine"
    return str(DIGITS) if name == "digits" else name


def load(config: ModelConfig) -> Model:
    """Load the configured model.

    Raises:
        ModelError: it is not there, does not fit, or what it needs is not installed.
    """
    name = resolve(config.name)
    if name == "moonshine":
        from captions.models.moonshine import MoonshineModel

        return MoonshineModel(config.lanes or MOONSHINE_LANES_PER_CORE * (os.cpu_count() or 1))
    if find_spec("moshi") is None:
        raise ModelError(f"model {name!r} needs the Kyutai extra: pip install 'captions[kyutai]'")
    from captions.models.kyutai.checkpoint import Checkpoint
    from captions.models.kyutai.model import KyutaiModel
    from captions.models.kyutai.torch_backend.backend import TorchBackend
    from captions.models.kyutai.torch_backend.loading import device_of, dtype_of

    device, dtype = device_of(config.device), dtype_of(config.dtype)
    lanes = config.lanes or (KYUTAI_LANES if has_gpu() else KYUTAI_LANES_CPU)
    checkpoint = Checkpoint.find(name)
    return KyutaiModel(checkpoint, checkpoint.load_tokenizer(), TorchBackend(checkpoint, lanes, device, dtype))
