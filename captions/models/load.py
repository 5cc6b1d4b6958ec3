"""Choosing and loading a model by name, without importing what the others need."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from captions.config import ModelConfig
from captions.models.model import Model, ModelError

__all__ = ["DIGITS", "KYUTAI", "KYUTAI_LANES_CPU", "load", "resolve"]

KYUTAI = "kyutai/stt-1b-en_fr-candle"
DIGITS = Path(__file__).parent / "digits"
MOONSHINE_LANES_PER_CORE = 2
KYUTAI_LANES = 64
KYUTAI_LANES_CPU = 8


def has_gpu(device: str = "auto") -> bool:
    """Whether Kyutai's model would run on an NVIDIA GPU here, with `device` as model.device says it.

    PyTorch is asked, because it is what must find the GPU: it may be a build for CPUs, and Windows' Linux has a GPU
    without the driver's usual files. False without the Kyutai extra.
    """
    if device.partition(":")[0] not in {"auto", "cuda"} or find_spec("moshi") is None:
        return False
    from captions.models.kyutai.torch_backend.loading import device_of

    found: str = device_of("auto").type
    return found == "cuda"


def resolve(name: str, device: str = "auto") -> str:
    """What "auto" and "digits" stand for on this machine: "moonshine", a name on the model hub, or a folder."""
    if name == "auto":
        return KYUTAI if has_gpu(device) else "moonshine"
    return str(DIGITS) if name == "digits" else name


def load(config: ModelConfig) -> Model:
    """Load the configured model.

    Raises:
        ModelError: it is not there, does not fit, or what it needs is not installed.
    """
    name = resolve(config.name, config.device)
    if name == "moonshine":
        from captions.models.moonshine import MoonshineModel

        return MoonshineModel(config.lanes or MOONSHINE_LANES_PER_CORE * (os.cpu_count() or 1))
    if not has_gpu(config.device) and config.device in {"auto", "cpu"}:
        return _load_on_cpu(name, config)
    if find_spec("moshi") is None:
        raise ModelError(f"{name!r} on a GPU needs the Kyutai extra: pip install 'captions[kyutai]'")
    from captions.models.kyutai.checkpoint import Checkpoint
    from captions.models.kyutai.model import KyutaiModel
    from captions.models.kyutai.torch_backend.backend import TorchBackend
    from captions.models.kyutai.torch_backend.loading import device_of, dtype_of

    device = device_of(config.device)
    dtype = dtype_of("bfloat16" if config.dtype == "auto" else config.dtype, device)
    lanes = config.lanes or (KYUTAI_LANES if device.type == "cuda" else KYUTAI_LANES_CPU)
    checkpoint = Checkpoint.find(name)
    return KyutaiModel(checkpoint, checkpoint.load_tokenizer(), TorchBackend(checkpoint, lanes, device, dtype))


def _load_on_cpu(name: str, config: ModelConfig) -> Model:
    """Kyutai's model without PyTorch."""
    from captions.models.kyutai.checkpoint import Checkpoint
    from captions.models.kyutai.model import KyutaiModel
    from captions.models.kyutai.onnx_backend.loading import load_backend

    checkpoint = Checkpoint.find(name)
    backend = load_backend(checkpoint, config.lanes or KYUTAI_LANES_CPU, config.dtype)
    return KyutaiModel(checkpoint, checkpoint.load_tokenizer(), backend)
