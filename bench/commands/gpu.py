"""`bench gpu`: a first meeting of Kyutai's model with a GPU: is it exact, how fast, how many lanes."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.load.processes import LoadError
from bench.measure.intervals import Figure, exact, percentile_of
from bench.report.console import console, show
from bench.report.results import FOLDER, Result, Run, keep
from captions.models.load import DIGITS
from captions.models.model import ModelError

if TYPE_CHECKING:
    import torch

    from bench.kyutai.first_meeting import Clockwork, Steps
    from captions.models.kyutai.torch_backend.weights import Weights

__all__ = ["add_to"]

_LIMITS_MS = (40, 60, 80)
_SERVED_MS = 48
"""A full step of the lanes that the server gets: 60% of a frame, as `captions serve` chooses them."""

_EXACT_WITHIN_S = 60.0
_CONFIGURATION_S = 12.0
"""What one number of lanes takes at most: capturing, proving and timing. More is seen in the clockwork's own time."""

_SERVER_S = 75.0
"""Kept for the server at the end: it loads, captures, and is talked to."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "gpu",
        description="Check Kyutai's model on a GPU against moshi's own loop; time its steps by lanes and by how much "
        "the lanes have heard, with graphs and without, by each attention; count kernels, memory and watts; and talk "
        "to a server with the lanes that are in time. It needs no weights, no network and only the kyutai extra, and "
        "leaves out what its minutes are too few for.",
    )
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu (default: cuda)")
    parser.add_argument("--dtype", default="bfloat16", help="of the language model (default: bfloat16)")
    parser.add_argument("--model", type=Path, help="a checkpoint's folder (default: random weights in `shape`)")
    parser.add_argument("--shape", choices=["1b", "tiny"], default="1b", help="of the random weights (default: 1b)")
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 8, 16, 32, 64, 128, 256, 400])
    parser.add_argument("--heard-s", type=float, nargs="+", default=[2, 20, 60], help="default: 2 20 60")
    parser.add_argument("--steps", type=int, default=20, help="of each (default: 20)")
    parser.add_argument("--schedules", type=int, default=20, help="of the check against moshi's loop (default: 20)")
    parser.add_argument("--server-s", type=float, default=20, help="of talking to the server (default: 20)")
    parser.add_argument("--minutes", type=float, default=8, help="that all of it may take (default: 8)")
    parser.add_argument("--results", type=Path, default=FOLDER, help="where the JSON is kept (default: bench/results)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import torch

    from bench.kyutai import first_meeting, shapes
    from captions.models.kyutai.torch_backend.loading import device_of, dtype_of

    clockwork = first_meeting.Clockwork(arguments.minutes * 60)
    device = device_of(arguments.device)
    dtype = dtype_of(arguments.dtype, device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        small = shapes.write_random_checkpoint(Path(place) / "small", shapes.LM_SMALL, shapes.MIMI_SMALL)
        folder = arguments.model or small
        if arguments.model is None and arguments.shape == "1b":
            folder = shapes.write_random_checkpoint(Path(place) / "1b", shapes.LM_1B, shapes.MIMI_1B)
        meeting = _Meeting(arguments, clockwork, device, dtype, folder)
        meeting.check(small)
        meeting.time_steps()
        meeting.talk()
    meeting.tell(Run("left out for want of time", {}, notes=clockwork.left_out or ["nothing"]))
    settings = {
        "device": str(device),
        "dtype": arguments.dtype,
        "model": arguments.model.name if arguments.model else f"random, {arguments.shape}",
        "steps": str(arguments.steps),
        "cuda": str(torch.version.cuda),
    }
    path = keep(Result("gpu", f"Kyutai's model on {device}", settings, meeting.runs), arguments.results)
    console.print(f"kept as {path.name}; `python -m bench report` draws it")
    return 1 if meeting.failed else 0


class _Meeting:
    """The parts of a first meeting, in order; `runs` is what came of them so far."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        clockwork: Clockwork,
        device: torch.device,
        dtype: torch.dtype,
        folder: Path,
    ) -> None:
        self.runs: list[Run] = []
        self.failed = False
        self._asked = arguments
        self._clockwork = clockwork
        self._device, self._dtype, self._folder = device, dtype, folder
        self._served_lanes = 0

    def tell(self, run: Run) -> None:
        """Shown at once: what comes after may fail, and minutes are long."""
        self.runs.append(run)
        show(run)

    def check(self, small: Path) -> None:
        """Equal to moshi's loop in float32; and how much of real speech is the same in the narrow type."""
        from bench.kyutai.first_meeting import exactness, share_of_equal_tokens

        found = exactness(small, str(self._device), self._asked.schedules, self._clockwork, _EXACT_WITHIN_S)
        self.failed = found.failure is not None
        share = share_of_equal_tokens(DIGITS, self._device, self._dtype)
        figures = {
            "oracle_tokens": exact(found.tokens, "tokens"),
            f"equal_tokens_{self._asked.dtype}": exact(100 * share, "%"),
        }
        notes = ["every token in float32 is that of moshi's own loop" if found.failure is None else found.failure]
        self.tell(Run("exactness", figures, notes=notes))

    def time_steps(self) -> None:
        """Steps, with graphs by each attention and then without; then launches and power at the most lanes."""
        from bench.kyutai.first_meeting import ATTENTIONS
        from captions.models.kyutai.checkpoint import Checkpoint
        from captions.models.kyutai.torch_backend.weights import Weights

        weights = Weights.load(Checkpoint.find(str(self._folder)), self._device, self._dtype)
        captured = {name: self._by_lanes(weights, name, True) for name in ATTENTIONS}
        self._by_lanes(weights, "fused", False)
        for name, measured in captured.items():
            if measured:
                self._launches(weights, name, measured[-1].lanes)
        self._memory(captured["fused"])
        self._power(weights, captured["fused"])

    def talk(self) -> None:
        """The server with the lanes that are in time, all of which somebody speaks on."""
        from bench.kyutai.first_meeting import release
        from bench.kyutai.under_load import under_load

        lanes = self._served_lanes
        if not lanes or not self._asked.server_s or not self._clockwork.has(_SERVER_S, "the server under load"):
            return
        release(self._device)
        dtype = self._asked.dtype if self._device.type == "cuda" else "auto"
        try:
            load = under_load(self._folder, lanes, {"device": str(self._device), "dtype": dtype}, self._asked.server_s)
        except LoadError as error:
            self.failed = True
            self.tell(Run("the server under load", {}, notes=[str(error)]))
            return
        figures = {
            "tracks": exact(load.tracks, "tracks"),
            "steps": exact(load.steps, "steps"),
            "step_mean": exact(load.step_mean_ms, "ms"),
            "dropped_counted": exact(load.dropped_s, "s"),
            "server_cores": exact(load.cores, "cores"),
            "late_p99": exact(load.late_ms, "ms"),
        }
        if load.step_within_ms is not None:
            figures["step_p95_at_most"] = exact(load.step_within_ms, "ms")
        self.tell(Run("the server under load", figures))

    def _by_lanes(self, weights: Weights, name: str, captured: bool) -> list[Steps]:
        """Steps by lanes, as long as they fit the memory and the time."""
        from bench.kyutai.first_meeting import ATTENTIONS, steps

        kind = f"{name}, {'captured' if captured else 'eager'}"
        measured: list[Steps] = []
        notes: list[str] = []
        for lanes in self._asked.lanes:
            if not self._clockwork.has(_CONFIGURATION_S, f"{kind}, {lanes} lanes", keep_s=_SERVER_S):
                break
            try:
                measured.append(
                    steps(weights, lanes, self._asked.heard_s, self._asked.steps, ATTENTIONS[name], captured)
                )
            except ModelError as error:
                notes.append(f"{lanes} lanes: {error}")
                break
        for seconds in self._asked.heard_s if measured else ():
            self.tell(_by_heard(kind, measured, seconds, notes))
        if captured and measured:
            self._serve(measured)
        return measured

    def _serve(self, measured: list[Steps]) -> None:
        """The server runs the default attention, which is measured first."""
        from bench.kyutai.first_meeting import lanes_within

        if not self._served_lanes:
            longest = max(self._asked.heard_s)
            in_time = lanes_within(_SERVED_MS, _p95_by_lanes(measured, longest))
            self._served_lanes = max(in_time, measured[0].lanes)

    def _launches(self, weights: Weights, name: str, lanes: int) -> None:
        from bench.kyutai.first_meeting import ATTENTIONS, launched

        figures: dict[str, Figure] = {}
        for captured in (True, False):
            kind = "captured" if captured else "eager"
            if not self._clockwork.has(_CONFIGURATION_S, f"launches, {name}, {kind}", keep_s=_SERVER_S):
                return
            counted = launched(weights, lanes, ATTENTIONS[name], captured)
            figures[f"operations_{kind}"] = exact(counted.operations, "operations")
            if counted.kernels is not None:
                figures[f"kernels_{kind}"] = exact(counted.kernels, "kernels")
        self.tell(Run(f"launches of a step, {name}", figures))

    def _memory(self, measured: list[Steps]) -> None:
        figures: dict[str, Figure] = {}
        for one in measured:
            figures[f"memory_{one.lanes}_paper"] = exact(one.paper_gib, "GiB")
            if one.memory_gib is not None:
                figures[f"memory_{one.lanes}"] = exact(one.memory_gib, "GiB")
        columns = {
            "lanes": [float(one.lanes) for one in measured],
            "paper_gib": [one.paper_gib for one in measured],
            "gib": [one.memory_gib for one in measured if one.memory_gib is not None],
        }
        notes = ["beside the weights; on paper with what CUDA takes for itself, which is not of the lanes"]
        self.tell(Run("memory of the lanes", figures, {"gpu_memory": columns}, notes))

    def _power(self, weights: Weights, measured: list[Steps]) -> None:
        from bench.kyutai.first_meeting import ATTENTIONS, power_w

        if not measured or not self._clockwork.has(_CONFIGURATION_S, "power", keep_s=_SERVER_S):
            return
        drawn = power_w(weights, measured[-1].lanes, ATTENTIONS["fused"])
        if drawn is None:
            self.tell(Run("power", {}, notes=["nvidia-smi tells none"]))
        else:
            self.tell(Run("power", {f"power_{measured[-1].lanes}": exact(drawn, "W")}))


def _by_heard(kind: str, measured: list[Steps], seconds: float, notes: list[str]) -> Run:
    """The step by lanes, the host's part of it, and the lanes within 40, 60 and 80 ms."""
    from bench.kyutai.first_meeting import lanes_within

    figures: dict[str, Figure] = {}
    columns: dict[str, list[float]] = {"lanes": [], "p50_ms": [], "p95_ms": []}
    for one in measured:
        p50, p95 = (percentile_of(one.by_heard_ms[seconds], percent, "ms") for percent in (50, 95))
        if p50 is None or p95 is None:
            continue
        figures |= {f"step_{one.lanes}_p50": p50, f"step_{one.lanes}_p95": p95}
        figures[f"host_{one.lanes}"] = exact(one.host_ms, "ms")
        for name, value in (("lanes", one.lanes), ("p50_ms", p50.value), ("p95_ms", p95.value)):
            columns[name].append(value)
    for limit_ms in _LIMITS_MS:
        figures[f"lanes_within_{limit_ms}_ms"] = exact(
            lanes_within(limit_ms, _p95_by_lanes(measured, seconds)), "lanes"
        )
    return Run(f"{kind}, {seconds:g} s heard", figures, {"step": columns}, notes)


def _p95_by_lanes(measured: list[Steps], seconds: float) -> dict[int, float]:
    found = {one.lanes: percentile_of(one.by_heard_ms[seconds], 95, "ms") for one in measured}
    return {lanes: p95.value for lanes, p95 in found.items() if p95 is not None}
