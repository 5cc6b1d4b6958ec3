"""What a step of Kyutai's model costs, ours and moshi's own loop side by side on the same weights.

`small`: a small checkpoint, 32 lanes in one batch against 32 single streams. `shape`: the 1B's shape, random weights:
ms a step, overhead, memory, profile. `exact`: the 1B's shape in float32: our tokens are moshi's.

Figures are medians over steps, ours and moshi's taken in turn: `_ms` by the clock, `_cpu_ms` of processor time, being
what the clock would show on a machine with nothing else to do. One thread of torch by default: beside other work two
wait for each other, and only of one is the processor time the step's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from moshi.models import LMGen
from moshi.utils.compile import no_compile
from numpy.typing import NDArray
from torch.profiler import ProfilerActivity, profile

from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.model import KyutaiModel
from captions.models.kyutai.torch_backend.backend import TorchBackend
from captions.models.kyutai.torch_backend.loading import dtype_of, load_lm, load_mimi
from captions.models.kyutai.torch_backend.weights import Weights
from captions.models.model import Batch
from captions.types import FRAME_SAMPLES, Pcm

__all__ = ["Figures", "Moshis", "exact", "line", "noise", "shape", "small"]

Figures = dict[str, Any]
WARM_STEPS = 3
MIB = 1 << 20
CPU = torch.device("cpu")


class Ours:
    """Our model, each part of its step timed."""

    def __init__(self, folder: Path, lanes: int, dtype: str) -> None:
        checkpoint = Checkpoint.find(str(folder))
        self.backend = TorchBackend(Weights.load(checkpoint, CPU, dtype_of(dtype, CPU)), lanes)
        self.model = KyutaiModel(checkpoint, checkpoint.load_tokenizer(), self.backend)
        self.model.warm_up()
        self.batch = Batch.of(lanes, FRAME_SAMPLES)
        self.batch.active[:] = True
        self.times = Times()
        self._step = self.times.timed("step", self.model.step)
        self.backend.encoder.encode = self.times.timed("mimi", self.backend.encoder.encode)  # type: ignore[method-assign]
        self.backend.lm.step = self.times.timed("lm", self.backend.lm.step)  # type: ignore[method-assign]

    def step(self, frames: Pcm) -> list[int]:
        self.batch.pcm[:] = frames
        self._step(self.batch)
        tokens: list[int] = self.model.tokens.tolist()
        return tokens


class Moshis:
    """moshi's own streaming loop over `lanes` rows, which all start together; its parts timed.

    `codes` [B, K] and `pauses` [B, heads] are those of the last step.
    """

    def __init__(self, folder: Path, lanes: int, dtype: str) -> None:
        checkpoint = Checkpoint.find(str(folder))
        self.mimi = load_mimi(checkpoint, CPU)
        self.lm = load_lm(checkpoint, CPU, dtype_of(dtype, CPU))
        self.generator = LMGen(self.lm, use_sampling=False, temp=0.0, temp_text=0.0, support_out_of_sync=True)
        self.mimi.streaming_forever(lanes)
        self.generator.streaming_forever(lanes)
        self.times = Times()
        self.step = self.times.timed("step", self._step)
        self._encode = self.times.timed("mimi", self.mimi.encode)
        self._say = self.times.timed("lm", self.generator.step_with_extra_heads)
        self._fresh = True

    def _step(self, frames: Pcm) -> list[int]:
        """Tokens for frames [B, 1920]."""
        with torch.no_grad(), no_compile():
            codes = self._encode(torch.from_numpy(frames)[:, None])
            if self._fresh:
                self.generator.step(codes)
                self._fresh = False
            said, heads = self._say(codes)
        self.codes: NDArray[np.int64] = codes[:, :, 0].numpy()
        self.pauses: NDArray[np.float32] = torch.stack([head[:, 0, 0] for head in heads], 1).float().numpy()
        tokens: list[int] = said[:, 0, 0].tolist()
        return tokens


class Times:
    """What each call took, by name: seconds by the clock and of the processor."""

    def __init__(self) -> None:
        self._taken: dict[str, list[tuple[float, float]]] = {}

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            began, cpu_began = time.perf_counter(), time.thread_time()
            result = call(*arguments)
            taken = time.perf_counter() - began, time.thread_time() - cpu_began
            self._taken.setdefault(name, []).append(taken)
            return result

        return run

    def forget(self) -> None:
        self._taken.clear()

    def figures(self, prefix: str, *names: str) -> Figures:
        """Median ms of the named calls, the first few left out."""
        figures: Figures = {}
        for name in names:
            clock, cpu = np.median(np.array(self._taken[name][WARM_STEPS:]), axis=0) * 1e3
            figures |= {f"{prefix}_{name}_ms": float(clock), f"{prefix}_{name}_cpu_ms": float(cpu)}
        return figures

    def overhead_percent(self) -> float:
        """The part of a step outside Mimi and the language model, in processor time."""
        step, mimi, lm = (np.array(self._taken[name])[WARM_STEPS:, 1] for name in ("step", "mimi", "lm"))
        return float(np.median((step - mimi - lm) / step) * 100)


def small(folder: Path, lanes: int, steps: int) -> Figures:
    """`lanes` streams in one batch against moshi's single-stream loop run `lanes` times; four of its steps to each."""
    ours, moshis = Ours(folder, lanes, "float32"), Moshis(folder, 1, "float32")
    for frames in noise(steps, lanes):
        ours.step(frames)
        for lane in range(4):
            moshis.step(frames[lane : lane + 1])
    figures: Figures = (
        {"lanes": lanes} | ours.times.figures("ours", "step") | moshis.times.figures("moshi_single", "step")
    )
    for unit in ("ms", "cpu_ms"):
        faster = lanes * figures[f"moshi_single_step_{unit}"] / figures[f"ours_step_{unit}"]
        figures[f"times_faster_{unit}"] = faster
    print(line(f"small B={lanes}", figures), flush=True)
    return figures


def shape(folder: Path, lanes: int, steps: int, profiled: bool) -> Figures:
    """ms a step at the 1B's shape in bfloat16: ours with a second heard and with a full context, and moshi's."""
    before = _resident()
    ours = Ours(folder, lanes, "bfloat16")
    figures: Figures = {"lanes": lanes, "resident_mib": (_resident() - before) / MIB}
    figures["paper_mib"] = Checkpoint.find(str(folder)).memory(torch.bfloat16.itemsize).total(lanes) / MIB
    moshis = Moshis(folder, lanes, "bfloat16")
    for name in ("short", "full"):
        ours.times.forget()
        if name == "full":
            ours.backend.fill_context()
        for frames in noise(steps, lanes):
            ours.step(frames)
            moshis.step(frames)
        figures |= ours.times.figures(f"ours_{name}", "mimi", "lm")
        figures[f"overhead_{name}_percent"] = ours.times.overhead_percent()
    figures |= moshis.times.figures("moshi", "mimi", "lm")
    if profiled:
        figures |= {"ours_profile": _profile(ours.step, lanes), "moshi_profile": _profile(moshis.step, lanes)}
    print(line(f"1B shape B={lanes}", figures), flush=True)
    return figures


def exact(folder: Path, lanes: int, steps: int) -> Figures:
    """Tokens of ours and of moshi's batched loop at the 1B's shape, in float32."""
    ours, moshis = Ours(folder, lanes, "float32"), Moshis(folder, lanes, "float32")
    pairs = [(ours.step(frames), moshis.step(frames)) for frames in noise(steps, lanes)]
    equal = sum(mine == theirs for step in pairs for mine, theirs in zip(*step, strict=True))
    figures = {"lanes": lanes, "tokens": lanes * steps, "equal": equal}
    print(line(f"1B shape float32 B={lanes}", figures))
    return figures


def noise(steps: int, lanes: int) -> Iterator[Pcm]:
    """Frames [lanes, 1920] for each step, the same at each call."""
    random = np.random.default_rng(1)
    for _ in range(steps):
        yield random.normal(scale=0.1, size=(lanes, FRAME_SAMPLES)).astype(np.float32)


def _profile(step: Callable[[Pcm], object], lanes: int) -> dict[str, float]:
    """The operations that take most of three steps, in percent of their time."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for frames in noise(3, lanes):
            step(frames)
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return {event.key: round(100 * event.self_cpu_time_total / total, 1) for event in events[:8]}


def _resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def line(name: str, figures: Figures, digits: int = 1) -> str:
    """One line to print."""
    shown = (
        f"{key}={value:.{digits}f}" if isinstance(value, float) else f"{key}={value}" for key, value in figures.items()
    )
    return " ".join([name, *shown])
