"""`bench oracle`: the tokens of every stream in a busy batch are those of moshi's own single-stream loop."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("oracle", description=__doc__)
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--model", type=Path, help="a checkpoint's folder; default: a small one of random weights")
    parser.add_argument("--engine", choices=["torch", "onnx"], default="torch")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of torch; one is steadiest where others work too")
    parser.add_argument("--json", type=Path)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import torch

    from bench.kyutai.oracle import Oracle, onnx_float32
    from bench.kyutai.schedules import run as check
    from bench.kyutai.shapes import LM_SMALL, MIMI_SMALL, write_random_checkpoint

    torch.set_num_threads(arguments.threads)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        folder = arguments.model or write_random_checkpoint(Path(place) / "small", LM_SMALL, MIMI_SMALL)
        oracle = Oracle(folder, arguments.device, backend_of=onnx_float32 if arguments.engine == "onnx" else None)
    failure = None
    try:
        check(oracle, arguments.schedules, arguments.seed)
    except AssertionError as error:
        failure = str(error)
    tally = oracle.tally
    figures: dict[str, Any] = {
        "schedules": tally.schedules,
        "streams": tally.streams,
        "tokens": tally.tokens,
        "different_tokens_seen": len(tally.kinds),
        "all_equal": failure is None,
        "seconds": round(time.perf_counter() - began, 1),
    }
    print("oracle", " ".join(f"{name}={value}" for name, value in figures.items()), failure or "")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures | {"failure": failure}, indent=2) + "\n")
    return 1 if failure else 0
