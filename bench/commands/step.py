"""`bench step`: what one step of a model costs, by number of lanes, and how many lanes fit into real time."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from bench.load.clips import CLIP_RATE, two_cities
from bench.measure.intervals import Figure, exact, mean_of, percentile_of
from bench.report.console import console, finish, progress
from bench.report.results import Result, Run
from bench.servers.speaking_model import SpeakingModel
from captions.config import ModelConfig
from captions.models import load
from captions.models.model import Batch, Model
from captions.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE, Pcm

__all__ = ["add_to"]

_WARM_STEPS = 12


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "step",
        description="Step a model by hand with every lane speaking, each from another place of the text, without "
        "server or pacing. Real time is 80 ms a step; a model that works only now and then may pass it in some steps, "
        "so the mean decides how many lanes fit.",
    )
    parser.add_argument("--model", default="auto", help="what `captions serve` takes, or speaking (default: auto)")
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 2, 4, 8], help="default: 1 2 4 8")
    parser.add_argument("--steps", type=int, default=125, help="of each (default: 125, ten seconds of audio)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    frames = _frames()
    columns: dict[str, list[float]] = {name: [] for name in ("lanes", "mean_ms", "p50_ms", "p95_ms")}
    runs = []
    name = arguments.model
    for lanes in arguments.lanes:
        model = _model(arguments.model, lanes)
        name = model.info.name
        with progress(f"{lanes} lanes", arguments.steps) as tick:
            taken_ms = [step_s * 1_000 for step_s in _steps(model, frames, arguments.steps, tick)]
        model.close()
        figures = _figures(taken_ms)
        for column in ("mean_ms", "p50_ms", "p95_ms"):
            columns[column].append(figures[f"step_{column.removesuffix('_ms')}"].value)
        columns["lanes"].append(lanes)
        console.print(f"{lanes:4d} lanes: mean {columns['mean_ms'][-1]:7.1f} ms, p95 {columns['p95_ms'][-1]:7.1f} ms")
        runs.append(Run(f"{lanes} lanes", figures))
    fitting = [n for n, mean in zip(columns["lanes"], columns["mean_ms"], strict=True) if mean <= FRAME_S * 1_000]
    summary = Run(name, {"lanes_in_time": exact(max(fitting, default=0), "lanes")}, {"step": columns})
    settings = {"model": Path(arguments.model).name, "steps": str(arguments.steps)}
    return finish(Result("step", f"One step of {name}", settings, [summary, *runs]))


def _model(name: str, lanes: int) -> Model:
    return SpeakingModel(lanes) if name == "speaking" else load.load(ModelConfig(name=name, lanes=lanes))


def _steps(model: Model, frames: Pcm, steps: int, tick: Callable[[float], None]) -> list[float]:
    """The time of each step behind the warm-up; `frames` [n, 1920] are read round and round."""
    lanes = model.info.lanes
    model.warm_up()
    model.reset(range(lanes))
    batch = Batch.of(lanes, FRAME_SAMPLES)
    batch.active[:] = True
    apart = max(1, len(frames) // lanes)
    taken = []
    for number in range(_WARM_STEPS + steps):
        for lane in range(lanes):
            batch.pcm[lane] = frames[(number + lane * apart) % len(frames)]
        began_at = time.perf_counter()
        model.step(batch)
        taken.append(time.perf_counter() - began_at)
        tick(number)
    return taken[_WARM_STEPS:]


def _frames() -> Pcm:
    pcm = two_cities().pcm[:: CLIP_RATE // SAMPLE_RATE]
    return pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)


def _figures(taken_ms: list[float]) -> dict[str, Figure]:
    found = {
        "step_mean": mean_of(taken_ms, "ms"),
        "step_p50": percentile_of(taken_ms, 50, "ms"),
        "step_p95": percentile_of(taken_ms, 95, "ms"),
    }
    return {name: figure for name, figure in found.items() if figure is not None}
