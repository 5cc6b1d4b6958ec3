"""Choosing and loading a model by name, without importing what the others need."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from captions.config import ModelConfig
from captions.models.model import Model, ModelError, NoRoom
from captions.models.sizing import FULL_STEP_S, Sizing, choose, sizes_up_to
from captions.types import FRAME_S

if TYPE_CHECKING:
    from captions.models.kyutai.backend import Backend
    from captions.models.kyutai.checkpoint import Checkpoint
    from captions.models.kyutai.model import KyutaiModel

__all__ = ["DIGITS", "KYUTAI", "load", "resolve"]

KYUTAI = "kyutai/stt-1b-en_fr-candle"
DIGITS = Path(__file__).parent / "digits"
MOONSHINE_LANES = 2
"""At least: two people who speak at once are the least that a meeting needs."""

MOONSHINE_LANES_PER_CORE = 2
"""At most."""

KYUTAI_LANES_PER_CORE = 4
"""At most, on a CPU: of the 80 ms of each frame a lane of the 1B takes 16 of one core, and all share the weights."""

MOST_LANES = 1_024
"""At most, anywhere."""

CPU_FULL_STEP_S = 0.07
"""On a CPU, which computes only the lanes that have a frame, a full step is rare: it may take most of a frame."""

SMALL_BYTES = 64 << 20
"""Of converted weights that "auto" passes over: nobody wants a toy that happens to be there."""

log = logging.getLogger(__name__)


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
    if config.name == "auto" and not has_gpu(config.device):
        model = _load_converted(config)
        if model is not None:
            return model
    name = resolve(config.name, config.device)
    if name == "moonshine":
        return _load_moonshine(config.lanes)
    if not has_gpu(config.device) and config.device in {"auto", "cpu"}:
        return _load_on_cpu(name, config)
    if find_spec("moshi") is None:
        raise ModelError(f"{name!r} on a GPU needs the Kyutai extra: pip install 'captions[kyutai]'")
    return _load_on_gpu(name, config)


def _load_converted(config: ModelConfig) -> Model | None:
    """Kyutai's model for "auto" without a GPU, if one has been converted and is in time for at least one lane."""
    from captions.models.kyutai.onnx_backend.conversions import conversions

    found = next((one for one in conversions() if one.size > SMALL_BYTES and one.weights != "float32"), None)
    if found is None:
        log.info("auto: moonshine, because there is no GPU and no converted model of Kyutai's")
        return None
    try:
        model = _load_on_cpu(found.source, msgspec.structs.replace(config, dtype=found.weights))
    except ModelError as error:
        log.warning("auto: moonshine, because the converted model does not load", extra={"why": str(error)})
        return None
    if any(taken > CPU_FULL_STEP_S for _, taken in model.info.measured[:1]):
        model.close()
        log.info("auto: moonshine, because not one lane of the converted model is in time here")
        return None
    log.info("auto: a converted model of Kyutai's is on this machine", extra={"model": found.source})
    return model


def _load_moonshine(lanes: int) -> Model:
    """Moonshine, which reads each lane's utterance now and then; a reading that is late is skipped."""
    from captions.models.moonshine.model import MoonshineModel

    if lanes:
        return MoonshineModel(lanes)
    model = MoonshineModel(MOONSHINE_LANES)
    lane_s = model.lane_step_s()
    model.close()
    most = max(MOONSHINE_LANES, MOONSHINE_LANES_PER_CORE * (os.cpu_count() or 1))
    sizing = choose(lambda count: count * lane_s, sizes_up_to(most), FRAME_S)
    chosen = max(MOONSHINE_LANES, sizing.lanes)
    _log(model.info.name, chosen, sizing)
    return MoonshineModel(chosen, sizing.measured)


def _load_on_gpu(name: str, config: ModelConfig) -> Model:
    """Kyutai's model by PyTorch."""
    from captions.models.kyutai.checkpoint import Checkpoint
    from captions.models.kyutai.torch_backend.backend import TorchBackend
    from captions.models.kyutai.torch_backend.loading import device_of, dtype_of
    from captions.models.kyutai.torch_backend.weights import Weights

    device = device_of(config.device)
    dtype = dtype_of(config.dtype, device)
    checkpoint = Checkpoint.find(name)
    weights = Weights.load(checkpoint, device, dtype, config.lanes or 1)
    make = partial(TorchBackend, weights, prefix_frames=checkpoint.prefix_frames)
    return _with_lanes(checkpoint, make, config.lanes, weights.most_lanes(), FULL_STEP_S)


def _load_on_cpu(name: str, config: ModelConfig) -> Model:
    """Kyutai's model without PyTorch."""
    from captions.models.kyutai.checkpoint import Checkpoint
    from captions.models.kyutai.onnx_backend.loading import load_backend, most_lanes

    checkpoint = Checkpoint.find(name)
    make = partial(load_backend, checkpoint, asked=config.dtype)
    most = min(KYUTAI_LANES_PER_CORE * (os.cpu_count() or 1), most_lanes(checkpoint))
    return _with_lanes(checkpoint, make, config.lanes, most, CPU_FULL_STEP_S)


def _with_lanes(
    checkpoint: Checkpoint, make: Callable[[int], Backend], asked: int, most: int, limit_s: float
) -> KyutaiModel:
    """The model with the lanes that are asked for, or, if that is 0, as many of `most` as keep a full step short."""
    from captions.models.kyutai.model import KyutaiModel

    def full_step_s(lanes: int) -> float:
        try:
            backend = make(lanes)
            try:
                backend.warm_up()
                return backend.full_step_s()
            finally:
                backend.close()
        except NoRoom:
            # What fits on paper may not fit a GPU. One lane is no matter of trying.
            if lanes == 1:
                raise
            return math.inf

    lanes, measured = asked, tuple[tuple[int, float], ...]()
    if not asked:
        sizing = choose(full_step_s, sizes_up_to(max(1, min(most, MOST_LANES))), limit_s)
        lanes, measured = sizing.lanes, sizing.measured
        _log(checkpoint.name, lanes, sizing)
    return KyutaiModel(checkpoint, checkpoint.load_tokenizer(), make(lanes), measured)


def _log(name: str, lanes: int, sizing: Sizing) -> None:
    measured = ", ".join(f"{count}: {taken * 1e3:.1f}" for count, taken in sizing.measured)
    log.info("lanes measured", extra={"model": name, "lanes": lanes, "full_step_ms": measured})
    if not sizing.fits:
        log.warning("not even one lane is in time on this machine", extra={"model": name})
