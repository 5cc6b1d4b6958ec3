"""What a step of Kyutai's model costs on a CPU, by lanes with a frame and by what they have heard; moshi's loop beside.

Figures are medians in ms by the clock, so nothing else may run. Weights of random values cost what others cost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.onnx_backend.backend import OnnxBackend
from captions.models.kyutai.onnx_backend.loading import load_backend
from captions.types import FRAME_SAMPLES, FRAMES_PER_SECOND, Pcm

__all__ = ["Cost", "costs", "moshis_ms"]

WARM_STEPS = 3
LEVEL = 0.1


@dataclass(frozen=True, slots=True)
class Cost:
    """A step of `lanes` lanes that have each heard `heard_s`: Mimi's part and the language model's, in ms."""

    heard_s: float
    lanes: int
    mimi_ms: float
    lm_ms: float

    @property
    def step_ms(self) -> float:
        return self.mimi_ms + self.lm_ms


def costs(folder: Path, weights: str, lanes: list[int], heard_s: list[float], steps: int) -> Iterator[Cost]:
    """The cost of a step for each of `lanes` and of `heard_s`, with `weights` ("int8" ...)."""
    backend = load_backend(Checkpoint.find(str(folder)), max(lanes), weights)
    backend.warm_up()
    for heard in heard_s:
        for count in lanes:
            yield _cost(backend, count, heard, steps)
    backend.close()


def moshis_ms(folder: Path, lanes: int, steps: int, threads: int) -> float:
    """A step of moshi's own loop in bfloat16, which always pays for the whole context, on `threads` threads."""
    import torch

    from bench.kyutai.step import Moshis

    torch.set_num_threads(threads)
    moshis = Moshis(folder, lanes, "bfloat16")
    for frames in _noise(lanes, WARM_STEPS + steps):
        moshis.step(frames)
    taken: float = moshis.times.figures("moshi", "step")["moshi_step_ms"]
    return taken


def _cost(backend: OnnxBackend, count: int, heard_s: float, steps: int) -> Cost:
    backend.reset(range(backend.lanes))
    for lane in range(backend.lanes):
        heard = round(heard_s * FRAMES_PER_SECOND)
        backend.lm.rings.fill(lane, heard)
        backend.encoder.rings.fill(lane, heard * backend.encoder.rings.shape.places)
    taken: list[tuple[float, float]] = []
    lanes: NDArray[np.intp] = np.arange(count)
    for frames in _noise(count, WARM_STEPS + steps):
        began = time.perf_counter()
        codes = backend.encoder.encode(frames, lanes)
        encoded = time.perf_counter()
        backend.lm.step(codes, lanes)
        taken.append((encoded - began, time.perf_counter() - encoded))
    mimi, lm = np.median(np.array(taken[WARM_STEPS:]), axis=0) * 1e3
    return Cost(heard_s, count, float(mimi), float(lm))


def _noise(lanes: int, steps: int) -> Iterator[Pcm]:
    random = np.random.default_rng(1)
    for _ in range(steps):
        yield random.normal(scale=LEVEL, size=(lanes, FRAME_SAMPLES)).astype(np.float32)
