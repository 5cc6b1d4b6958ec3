"""`bench gpu`: a first meeting of Kyutai's model with a GPU: is it exact, how fast, how many lanes."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure.intervals import Figure, exact, percentile_of
from bench.report.console import console, show
from bench.report.results import FOLDER, Result, Run, keep
from captions.models.model import ModelError

if TYPE_CHECKING:
    from bench.kyutai.first_meeting import Exactness, Measured

__all__ = ["add_to"]

_LIMITS_MS = (40, 60, 80)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "gpu",
        description="Check Kyutai's model on a GPU against moshi's own loop, and time its steps by lanes and by how "
        "much the lanes have heard, with and without graphs. It needs no weights and no network.",
    )
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu (default: cuda)")
    parser.add_argument("--dtype", default="bfloat16", help="of the language model (default: bfloat16)")
    parser.add_argument("--model", type=Path, help="a checkpoint's folder (default: random weights in `shape`)")
    parser.add_argument("--shape", choices=["1b", "tiny"], default="1b", help="of the random weights (default: 1b)")
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 8, 16, 32, 64, 128, 256, 400])
    parser.add_argument("--heard-s", type=float, nargs="+", default=[2, 20, 60], help="default: 2 20 60")
    parser.add_argument("--steps", type=int, default=30, help="of each (default: 30)")
    parser.add_argument("--schedules", type=int, default=20, help="of the check against moshi's loop (default: 20)")
    parser.add_argument("--results", type=Path, default=FOLDER, help="where the JSON is kept (default: bench/results)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from bench.kyutai import first_meeting, shapes
    from captions.models.kyutai.torch_backend.loading import device_of, dtype_of

    device = device_of(arguments.device)
    dtype = dtype_of(arguments.dtype, device)
    with tempfile.TemporaryDirectory() as place:
        small = shapes.write_random_checkpoint(Path(place) / "small", shapes.LM_SMALL, shapes.MIMI_SMALL)
        folder = arguments.model or small
        if arguments.model is None and arguments.shape == "1b":
            folder = shapes.write_random_checkpoint(Path(place) / "1b", shapes.LM_1B, shapes.MIMI_1B)
        exactness = first_meeting.exactness(small, str(device), arguments.schedules)
        share = first_meeting.share_of_equal_tokens(folder, device, dtype, arguments.steps)
        runs = [_exactness(exactness, arguments.dtype, share)]
        show(runs[0])
        measured: list[Measured] = []
        refused: list[str] = []
        for lanes in arguments.lanes:
            for captured in (True, False):
                try:
                    measured.append(
                        first_meeting.measure(
                            folder, device, dtype, lanes, arguments.heard_s, arguments.steps, captured
                        )
                    )
                except ModelError as error:
                    refused.append(f"{lanes} lanes: {error}")
                    break
    for captured in (True, False):
        runs += _by_heard([one for one in measured if one.captured is captured], arguments.heard_s, captured)
    runs.append(_memory(measured, refused))
    for each in runs[1:]:
        show(each)
    settings = {
        "device": str(device),
        "dtype": arguments.dtype,
        "model": arguments.model.name if arguments.model else f"random, {arguments.shape}",
        "steps": str(arguments.steps),
    }
    path = keep(Result("gpu", f"Kyutai's model on {device}", settings, runs), arguments.results)
    console.print(f"kept as {path.name}; `python -m bench report` draws it")
    return 1 if exactness.failure else 0


def _exactness(found: Exactness, dtype: str, share: float) -> Run:
    figures = {
        "oracle_tokens": exact(found.tokens, "tokens"),
        f"equal_tokens_{dtype}": exact(100 * share, "%"),
    }
    notes = ["every token in float32 is that of moshi's own loop" if found.failure is None else found.failure]
    return Run("exactness", figures, notes=notes)


def _by_heard(measured: list[Measured], heard_s: list[float], captured: bool) -> list[Run]:
    """A run for each time heard: the step by lanes, and the most lanes measured within 40, 60 and 80 ms."""
    from bench.kyutai.first_meeting import lanes_within

    runs = []
    for seconds in heard_s:
        figures: dict[str, Figure] = {}
        columns: dict[str, list[float]] = {"lanes": [], "p50_ms": [], "p95_ms": []}
        for one in measured:
            p50, p95 = (percentile_of(one.step_ms[seconds], percent, "ms") for percent in (50, 95))
            if p50 is None or p95 is None:
                continue
            figures |= {f"step_{one.lanes}_p50": p50, f"step_{one.lanes}_p95": p95}
            for name, value in (("lanes", one.lanes), ("p50_ms", p50.value), ("p95_ms", p95.value)):
                columns[name].append(value)
        by_lanes = {int(lanes): p95 for lanes, p95 in zip(columns["lanes"], columns["p95_ms"], strict=True)}
        for limit_ms in _LIMITS_MS:
            figures[f"lanes_within_{limit_ms}_ms"] = exact(lanes_within(limit_ms, by_lanes), "lanes")
        kind = "captured" if captured else "eager"
        runs.append(Run(f"{kind}, {seconds:g} s heard", figures, {"step": columns}))
    return runs


def _memory(measured: list[Measured], refused: list[str]) -> Run:
    figures: dict[str, Figure] = {}
    for one in measured:
        if not one.captured:
            figures["operations_a_step"] = exact(one.operations, "operations")
            continue
        figures[f"memory_{one.lanes}_paper"] = exact(one.paper_gib, "GiB")
        if one.memory_gib is not None:
            figures[f"memory_{one.lanes}"] = exact(one.memory_gib, "GiB")
    return Run("memory and operations", figures, notes=refused)
