"""What a GPU makes of Kyutai's model: how long a step takes, how much memory, and how many lanes are in time.

Everything is the backend that serves. On a CPU the same code runs, so that it cannot rot before its GPU comes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.kyutai.launches import launches_of
from bench.kyutai.oracle import Oracle
from bench.kyutai.oracle import run as check
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.torch_backend.backend import TorchBackend
from captions.models.kyutai.torch_backend.weights import Weights
from captions.types import FRAME_SAMPLES, frames_in

__all__ = ["Exactness", "Measured", "exactness", "lanes_within", "measure", "share_of_equal_tokens"]

WARM_STEPS = 3
NOISE_LEVEL = 0.1
SHARE_LANES = 8
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Exactness:
    """`tokens` compared with moshi's own loop in float32; `failure`: the first that differs, or None."""

    tokens: int
    failure: str | None


@dataclass(frozen=True, slots=True)
class Measured:
    """Steps of `lanes` lanes, ms each, by seconds heard. `captured`: by a graph, or each kernel launched.

    `operations`: what one step asks of the device, 1 with a graph. `memory_gib`: what the device gave up for the
    backend, None on a CPU. `paper_gib`: what was foreseen.
    """

    lanes: int
    captured: bool
    step_ms: dict[float, list[float]]
    operations: int
    memory_gib: float | None
    paper_gib: float


def exactness(folder: Path, device: str, schedules: int) -> Exactness:
    """Play random schedules against moshi's loop, in float32, with the fixed shapes that graphs need."""
    oracle = Oracle(folder, device)
    try:
        check(oracle, schedules, 1)
    except AssertionError as error:
        return Exactness(oracle.tally.tokens, str(error).splitlines()[0])
    return Exactness(oracle.tally.tokens, None)


def share_of_equal_tokens(folder: Path, device: torch.device, dtype: torch.dtype, steps: int) -> float:
    """How many tokens in `dtype` are those in float32. Once one differs, what follows it hears another past."""
    narrow, wide = (_tokens(folder, device, each, steps) for each in (dtype, torch.float32))
    return float((narrow == wide).mean())


def measure(
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    lanes: int,
    heard_s: Sequence[float],
    steps: int,
    captured: bool,
) -> Measured:
    """Steps in which every lane has a frame and has heard `heard_s` seconds.

    Raises:
        ModelError: so many lanes do not fit the device.
    """
    checkpoint = Checkpoint.find(str(folder))
    before = _free_bytes(device)
    backend = TorchBackend(Weights.load(checkpoint, device, dtype, lanes), lanes, graphs=captured)
    try:
        backend.warm_up()
        after = _free_bytes(device)
        step_ms = {seconds: _step_ms(backend, frames_in(seconds), steps) for seconds in heard_s}
        pcm, everyone = _noise(1, lanes)[0], np.ones(lanes, np.bool_)
        launches = 1 if captured else launches_of(lambda: backend.step(pcm, everyone)).total()
    finally:
        backend.close()
    taken = None if before is None or after is None else (before - after) / GIB
    paper = checkpoint.memory(dtype.itemsize).needed(lanes) / GIB
    return Measured(lanes, captured, step_ms, launches, taken, paper)


def lanes_within(limit_ms: float, p95_by_lanes: dict[int, float]) -> int:
    """The most lanes measured whose step stays within `limit_ms`; 0 if none does."""
    return max((lanes for lanes, p95_ms in p95_by_lanes.items() if p95_ms <= limit_ms), default=0)


def _step_ms(backend: TorchBackend, heard_frames: int, steps: int) -> list[float]:
    backend.reset(range(backend.lanes))
    backend.fill_context(heard_frames)
    everyone = np.ones(backend.lanes, np.bool_)
    taken = []
    for pcm in _noise(WARM_STEPS + steps, backend.lanes):
        began_at = time.perf_counter()
        backend.step(pcm, everyone)
        taken.append((time.perf_counter() - began_at) * 1e3)
    return taken[WARM_STEPS:]


def _tokens(folder: Path, device: torch.device, dtype: torch.dtype, steps: int) -> NDArray[np.int64]:
    backend = TorchBackend(Weights.load(Checkpoint.find(str(folder)), device, dtype), SHARE_LANES)
    try:
        backend.warm_up()
        backend.reset(range(SHARE_LANES))
        everyone = np.ones(SHARE_LANES, np.bool_)
        return np.stack([backend.step(pcm, everyone).tokens for pcm in _noise(steps, SHARE_LANES)])
    finally:
        backend.close()


def _noise(steps: int, lanes: int) -> NDArray[np.float32]:
    shape = (steps, lanes, FRAME_SAMPLES)
    return np.random.default_rng(1).normal(scale=NOISE_LEVEL, size=shape).astype(np.float32)


def _free_bytes(device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    torch.cuda.empty_cache()
    free: int = torch.cuda.mem_get_info(device)[0]
    return free
