"""`bench kyutai`: Kyutai's model, ours and moshi's own loop side by side on the same weights.

What a step costs (small, shape), whether both say the same (exact by PyTorch, exact-cpu by onnxruntime), and what
rounded weights change at the 1B's shape (rounding).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("kyutai", description=__doc__)
    parser.add_argument("what", choices=["small", "shape", "exact", "exact-cpu", "rounding"])
    parser.add_argument("--lanes", type=int, nargs="+", help="default: 32 small, 1 4 8 shape, 8 exact, 2 exact-cpu")
    parser.add_argument("--steps", type=int, default=30, help="or places of a rounding (default: 30)")
    parser.add_argument("--model", type=Path, help="a checkpoint's folder, or where to keep the random one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import torch

    from bench.kyutai import exactness, shapes, step

    torch.set_num_threads(arguments.threads)
    lm, mimi = (shapes.LM_SMALL, shapes.MIMI_SMALL) if arguments.what == "small" else (shapes.LM_1B, shapes.MIMI_1B)
    lanes = (
        arguments.lanes
        or {"small": [32], "shape": [1, 4, 8], "exact": [8], "exact-cpu": [2], "rounding": [1]}[arguments.what]
    )
    measure: dict[str, Callable[[Path, int], step.Figures]] = {
        "small": lambda folder, count: step.small(folder, count, arguments.steps),
        "shape": lambda folder, count: step.shape(folder, count, arguments.steps, arguments.profile),
        "exact": lambda folder, count: step.exact(folder, count, arguments.steps),
        "exact-cpu": lambda folder, count: exactness.exact_on_cpu(folder, count, arguments.steps),
        "rounding": lambda folder, _: {"stacks": list(exactness.rounding(folder, arguments.steps))},
    }
    with _random_checkpoint(arguments.model, lm, mimi) as folder:
        results = [measure[arguments.what](folder, count) for count in lanes]
    if arguments.json:
        arguments.json.write_text(json.dumps({"what": arguments.what, "results": results}, indent=2) + "\n")
    return 0


@contextmanager
def _random_checkpoint(folder: Path | None, lm: dict[str, Any], mimi: dict[str, Any]) -> Iterator[Path]:
    """The given folder, or random weights in a temporary one."""
    from bench.kyutai import shapes

    if folder is not None:
        yield shapes.write_random_checkpoint(folder, lm, mimi)
        return
    with tempfile.TemporaryDirectory() as place:
        yield shapes.write_random_checkpoint(Path(place) / "random", lm, mimi)
