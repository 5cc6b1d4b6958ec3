"""From a checkpoint to an engine that runs it: which weights, how many threads, and the conversion at first use."""

from __future__ import annotations

import logging
import os
import sys

from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.files import wrong_files
from captions.models.kyutai.onnx_backend.backend import OnnxBackend
from captions.models.kyutai.onnx_backend.convert import Progress, convert, converted_path
from captions.models.kyutai.onnx_backend.room import free_bytes

__all__ = ["AUTO", "load_backend", "most_lanes", "weights_of"]

AUTO = "auto"
SMALL_BYTES = 64 << 20
"""Of a language model whose weights cost next to nothing to read: they stay as they are, and one thread is enough."""

LANE_BYTES_PER_VALUE = 4
"""Keys and values are float32 whatever the weights are."""

LANES_SHARE = 2
"""Lanes may take one in so many bytes of what is free beside the weights: others want memory, too."""

log = logging.getLogger(__name__)


def weights_of(checkpoint: Checkpoint, asked: str = AUTO) -> str:
    """The kind of weights that is run where "auto" is asked for: int8, or float32 for a small model."""
    if asked != AUTO:
        return asked
    return "float32" if _is_small(checkpoint) else "int8"


def load_backend(checkpoint: Checkpoint, lanes: int, asked: str = AUTO) -> OnnxBackend:
    """An engine of `lanes` lanes over `checkpoint`, which is converted first if that has not been done.

    Raises:
        ModelError: files that do not fit the checkpoint's config, no such kind of weights, or no room for them.
    """
    weights = weights_of(checkpoint, asked)
    tell = None
    if not _is_small(checkpoint) and not converted_path(checkpoint, weights).is_file():
        log.info("converting the model, once", extra={"model": checkpoint.name, "weights": weights})
        tell = _log_tenths()
    converted = convert(checkpoint, weights, tell)
    threads = 1 if _is_small(checkpoint) else os.cpu_count() or 1
    with wrong_files(converted.name):
        return OnnxBackend(checkpoint, lanes, converted, weights, threads, checkpoint.prefix_frames)


def most_lanes(checkpoint: Checkpoint) -> int:
    """How many lanes this machine has memory for, should all of them hear a minute; at least one."""
    free = free_bytes()
    if free is None:
        return sys.maxsize
    paper = checkpoint.memory(LANE_BYTES_PER_VALUE)
    beside_weights = free - checkpoint.lm_path.stat().st_size
    return max(1, beside_weights // LANES_SHARE // (paper.lm_lane + paper.mimi_lane + paper.step_lane))


def _log_tenths() -> Progress:
    """Logs each tenth that is done: who starts a server for the first time must see that it is at work."""
    logged = 0

    def tell(done: int, total: int) -> None:
        nonlocal logged
        tenths = 10 * done // total
        if tenths > logged:
            logged = tenths
            log.info("converting", extra={"percent": 10 * tenths})

    return tell


def _is_small(checkpoint: Checkpoint) -> bool:
    return checkpoint.lm_path.stat().st_size <= SMALL_BYTES
