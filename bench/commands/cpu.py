"""`bench cpu`: what a step of Kyutai's model costs on a CPU, converted weights against moshi's own loop."""

from __future__ import annotations

import argparse
import os
import tempfile
from contextlib import nullcontext
from pathlib import Path

from bench.measure.intervals import exact
from bench.report.console import console, finish
from bench.report.results import Result, Run

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "cpu",
        description="Time Mimi and the language model on a CPU, by lanes with a frame and seconds heard. Real time is "
        "80 ms a step. Without --model the weights are random, of the 1B's shape (2.4 GB, and as much converted).",
    )
    parser.add_argument("--model", type=Path, help="a checkpoint's folder, or where to keep the random one")
    parser.add_argument("--weights", nargs="+", default=["int8", "int4"], help="default: int8 int4")
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 2, 4], help="default: 1 2 4")
    parser.add_argument("--heard-s", type=float, nargs="+", default=[20.0, 60.0], help="default: 20 60")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--moshi", type=int, nargs="*", default=[], metavar="LANES", help="time moshi's loop too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from bench.kyutai.cpu_step import costs, moshis_ms
    from bench.kyutai.shapes import LM_1B, MIMI_1B, write_random_checkpoint

    runs = []
    place = nullcontext(str(arguments.model)) if arguments.model else tempfile.TemporaryDirectory()
    with place as folder:
        checkpoint = write_random_checkpoint(Path(folder), LM_1B, MIMI_1B)
        for weights in arguments.weights:
            for cost in costs(checkpoint, weights, arguments.lanes, arguments.heard_s, arguments.steps):
                name = f"{weights}, {cost.lanes} lanes, {cost.heard_s:g} s heard"
                console.print(f"{name}: Mimi {cost.mimi_ms:.1f} + LM {cost.lm_ms:.1f} = {cost.step_ms:.1f} ms")
                figures = {"mimi": cost.mimi_ms, "lm": cost.lm_ms, "step": cost.step_ms}
                runs.append(Run(name, {key: exact(value, "ms") for key, value in figures.items()}))
        for lanes in arguments.moshi:
            taken = moshis_ms(checkpoint, lanes, max(3, arguments.steps // 4), os.cpu_count() or 1)
            console.print(f"moshi's own loop, bfloat16, {lanes} lanes: {taken:.1f} ms")
            runs.append(Run(f"moshi, {lanes} lanes", {"step": exact(taken, "ms")}))
    settings = {"steps": str(arguments.steps), "weights": " ".join(arguments.weights)}
    return finish(Result("cpu", "A step of Kyutai's model on a CPU", settings, runs))
