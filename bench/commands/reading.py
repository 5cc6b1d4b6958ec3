"""`bench reading`: the CPU default in virtual time: how late, how steady, how right, at what cost?

The package's two recordings go through a whole server. A step takes as long as it keeps the processor busy, so that
other load does not decide. What the model hears hangs on where its readings happen to fall, so each recording is heard
several times, each time begun a little later.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.load.clips import CLIP_RATE, Clip, beckett, two_cities
from bench.measure.metrics import figures, pooled
from bench.report.console import console
from bench.virtual.clip import Heard, hear
from captions.models.moonshine.model import MoonshineModel

__all__ = ["add_to"]

SHIFT_S = 0.016
"""A fifth of a frame."""

FIGURES = (
    *("word_latency_p50", "word_latency_p95", "first_partial_p50", "ttfs_p50"),
    *("upwr", "erasure", "erasure_committed", "wer"),
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("reading", description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="how often each recording is heard (default: 5)")
    parser.add_argument("--warm-up", type=float, default=2.0, metavar="S", help="as for `bench latency` (default: 2 s)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    model = MoonshineModel(lanes=1)
    model.warm_up()
    rows = []
    for clip in (two_cities(), beckett()):
        heard = [hear(begun, model, arguments.warm_up) for begun in _shifted(clip, arguments.times)]
        rows.append({"clip": clip.name, "times": arguments.times, **_measured(heard)})
        console.print(", ".join(f"{name} {figure}" for name, figure in rows[-1].items()), soft_wrap=True)
    model.close()
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


def _shifted(clip: Clip, times: int) -> Iterator[Clip]:
    for number in range(times):
        silence = np.zeros(round(number * SHIFT_S * CLIP_RATE), np.float32)
        yield replace(clip, pcm=np.concatenate([silence, clip.pcm]), truth=clip.truth.shifted(len(silence) / CLIP_RATE))


def _measured(heard: Sequence[Heard]) -> dict[str, float | list[float]]:
    """Figures over all hearings, and the word error rate of each."""
    found = figures(pooled(one.samples for one in heard))
    each = [figures(one.samples)["wer"].value for one in heard]
    cores = sum(one.model_s for one in heard) / sum(one.audio_s for one in heard)
    return {
        **{name: round(found[name].value, 4) for name in FIGURES if name in found},
        "cores": round(cores, 3),
        "wer_of_each": [round(wer, 3) for wer in each],
    }
