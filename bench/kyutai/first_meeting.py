"""What a GPU makes of Kyutai's model: how long a step takes, how much memory, and how many lanes are in time.

Everything is the backend that serves. On a CPU the same code runs, so that it cannot rot before its GPU comes. Nothing
here needs more than the `kyutai` extra.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.profiler import ProfilerActivity, profile

from bench.kyutai.launches import launches_of
from bench.kyutai.oracle import Oracle, random_schedule, sound
from bench.report.machine import gpu_power_w
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.torch_backend.attention import Attention, fused, products
from captions.models.kyutai.torch_backend.backend import TorchBackend
from captions.models.kyutai.torch_backend.weights import Weights
from captions.models.sizing import choose
from captions.types import FRAME_SAMPLES, Pcm, frames_in

__all__ = [
    "ATTENTIONS",
    "Clockwork",
    "Exactness",
    "Launched",
    "Steps",
    "exactness",
    "lanes_within",
    "launched",
    "power_w",
    "release",
    "share_of_equal_tokens",
    "steps",
]

ATTENTIONS: dict[str, Attention] = {"fused": fused, "products": products}
WARM_STEPS = 2
NOISE_LEVEL = 0.1
NOISES = 4
SHARE_LANES = 8
SPEECH_FRAMES = 45
POWER_S = 3.0
GIB = 1 << 30


class Clockwork:
    """A budget of seconds. Ask `has` before each part; what there is no time for is left out and named."""

    def __init__(self, budget_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = clock() + budget_s
        self.left_out: list[str] = []

    @property
    def left_s(self) -> float:
        return max(0.0, self._ends_at - self._clock())

    def has(self, needed_s: float, part: str, keep_s: float = 0.0) -> bool:
        """Whether `needed_s` are left, and `keep_s` for what comes after; if not, `part` is noted as left out."""
        if self.left_s >= needed_s + keep_s:
            return True
        self.left_out.append(part)
        return False


@dataclass(frozen=True, slots=True)
class Exactness:
    """`tokens` compared with moshi's own loop in float32; `failure`: the first that differs, or None."""

    tokens: int
    failure: str | None


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps of `lanes` lanes, ms each, by seconds heard. `host_ms`: the processor time of one, in our thread.

    `memory_gib`: what the device gave up for the lanes and their graphs, None on a CPU. `paper_gib`: what was foreseen.
    """

    lanes: int
    by_heard_ms: dict[float, list[float]]
    host_ms: float
    memory_gib: float | None
    paper_gib: float


@dataclass(frozen=True, slots=True)
class Launched:
    """What one step asks of the device. `kernels`: that the device ran, None if the profiler saw none (on a CPU)."""

    operations: int
    kernels: int | None


def exactness(folder: Path, device: str, schedules: int, clockwork: Clockwork, within_s: float) -> Exactness:
    """Play random schedules against moshi's loop, in float32, as many as there is time for."""
    oracle = Oracle(folder, device)
    stops_at = time.monotonic() + min(within_s, clockwork.left_s)
    try:
        for number in range(schedules):
            if number and time.monotonic() > stops_at:
                break
            oracle.check(random_schedule(number))
    except AssertionError as error:
        return Exactness(oracle.tally.tokens, str(error).splitlines()[0])
    return Exactness(oracle.tally.tokens, None)


def share_of_equal_tokens(folder: Path, device: torch.device, dtype: torch.dtype) -> float:
    """How many tokens of real speech in `dtype` are those in float32. Once one differs, it is heard by the next."""
    narrow, wide = (_tokens(folder, device, each) for each in (dtype, torch.float32))
    return float((narrow == wide).mean())


def steps(
    weights: Weights, lanes: int, heard_s: Sequence[float], count: int, attention: Attention, captured: bool
) -> Steps:
    """Steps in which every lane has a frame and has heard so many seconds.

    Raises:
        ModelError: so many lanes do not fit the device.
    """
    before = _free_bytes(weights.device)
    with _backend(weights, lanes, attention, captured) as backend:
        after = _free_bytes(weights.device)
        by_heard_ms, host_ms = {}, 0.0
        for seconds in heard_s:
            by_heard_ms[seconds], host_ms = _timed(backend, frames_in(seconds), count)
    taken = None if before is None or after is None else (before - after) / GIB
    paper = (weights.memory.needed(lanes) - weights.memory.weights) / GIB
    return Steps(lanes, by_heard_ms, host_ms, taken, paper)


def launched(weights: Weights, lanes: int, attention: Attention, captured: bool) -> Launched:
    """What a step of `lanes` lanes asks of the device, by PyTorch's operations and by the profiler's kernels."""
    pcm, everyone = _noise(lanes)[0], np.ones(lanes, np.bool_)
    with _backend(weights, lanes, attention, captured) as backend:
        operations = launches_of(lambda: backend.step(pcm, everyone)).total()
        if weights.device.type != "cuda":
            return Launched(operations, None)
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
            backend.step(pcm, everyone)
    kinds = Counter(str(event.device_type) for event in profiler.events() or ())
    return Launched(operations, next((count for kind, count in kinds.items() if kind.endswith("CUDA")), None))


def power_w(weights: Weights, lanes: int, attention: Attention) -> float | None:
    """Watts that the GPU draws while it makes one step behind the other; None where it does not tell."""
    pcm, everyone = _noise(lanes)[0], np.ones(lanes, np.bool_)
    with _backend(weights, lanes, attention, True) as backend, ThreadPoolExecutor(1) as asking:
        backend.fill_context()
        told: list[float] = []
        ends_at = time.monotonic() + POWER_S
        answer = asking.submit(gpu_power_w)
        while time.monotonic() < ends_at:
            backend.step(pcm, everyone)
            if answer.done():
                told += answer.result()[weights.device.index or 0 :][:1]
                if not told:
                    return None
                answer = asking.submit(gpu_power_w)
    return float(np.median(told)) if told else None


def release(device: torch.device) -> None:
    """Give the device's memory back to other processes, once nothing here holds it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def lanes_within(limit_ms: float, p95_by_lanes: dict[int, float]) -> int:
    """The lanes whose step stays within `limit_ms`, between two measured sizes in proportion; 0 if none does."""
    sizing = choose(lambda lanes: p95_by_lanes[lanes], sorted(p95_by_lanes), limit_ms)
    return sizing.lanes if sizing.fits else 0


@contextmanager
def _backend(weights: Weights, lanes: int, attention: Attention, captured: bool) -> Iterator[TorchBackend]:
    backend = TorchBackend(weights, lanes, attention=attention, graphs=captured)
    try:
        backend.warm_up()
        yield backend
    finally:
        backend.close()


def _timed(backend: TorchBackend, heard_frames: int, count: int) -> tuple[list[float], float]:
    """Milliseconds of each step by the clock, and of processor time in our thread, on average."""
    backend.fill_context(heard_frames)
    everyone, noise = np.ones(backend.lanes, np.bool_), _noise(backend.lanes)
    taken, host_s = [], 0.0
    for number in range(WARM_STEPS + count):
        began_at, cpu_began_at = time.perf_counter(), time.thread_time()
        backend.step(noise[number % NOISES], everyone)
        taken.append((time.perf_counter() - began_at) * 1e3)
        if number >= WARM_STEPS:
            host_s += time.thread_time() - cpu_began_at
    return taken[WARM_STEPS:], host_s / count * 1e3


def _tokens(folder: Path, device: torch.device, dtype: torch.dtype) -> NDArray[np.int64]:
    weights = Weights.load(Checkpoint.find(str(folder)), device, dtype)
    everyone = np.ones(SHARE_LANES, np.bool_)
    frames = np.stack([sound(number, SPEECH_FRAMES) for number in range(SHARE_LANES)], axis=1)
    backend = TorchBackend(weights, SHARE_LANES)
    try:
        backend.warm_up()
        return np.stack([backend.step(pcm, everyone).tokens for pcm in frames])
    finally:
        backend.close()


def _noise(lanes: int) -> Pcm:
    shape = (NOISES, lanes, FRAME_SAMPLES)
    return np.random.default_rng(1).normal(scale=NOISE_LEVEL, size=shape).astype(np.float32)


def _free_bytes(device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    torch.cuda.empty_cache()
    free: int = torch.cuda.mem_get_info(device)[0]
    return free
