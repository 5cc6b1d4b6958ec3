"""`bench truth` and `bench score`: gold words for speech of one's own, and figures of a kept event log."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.load.clips import CLIP_RATE, read_pcm
from bench.measure.events import read_logs
from bench.measure.metrics import figures, measure, pooled
from bench.report.console import console, finish, show
from bench.report.results import Result, Run
from bench.truth.words import read_truth, two_cities_truth, write_truth
from captions.cli.errors import CommandError

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    truth = commands.add_parser(
        "truth",
        description="Align a text to the speech that says exactly it, with pocketsphinx and its own acoustic model.",
    )
    truth.add_argument("audio", type=Path, help="any audio file")
    truth.add_argument("text", type=Path, help="a text file with exactly what it says")
    truth.add_argument("output", type=Path, help="the gold words, as JSON")
    truth.set_defaults(run=run)
    score = commands.add_parser(
        "score",
        help="figures of a kept event log",
        description="Compute every figure anew from what `bench latency --events FILE` kept.",
    )
    score.add_argument("events", type=Path)
    score.add_argument("--truth", type=Path, metavar="JSON", help="gold words (default: those of two_cities.wav)")
    score.add_argument("--warm-up", type=float, default=2.0, metavar="S")
    score.set_defaults(run=run_score)


def run(arguments: argparse.Namespace) -> int:
    from bench.measure.align import AlignmentError, force_align

    try:
        made = force_align(read_pcm(arguments.audio), CLIP_RATE, arguments.text.read_text(encoding="utf-8"))
    except AlignmentError as error:
        raise CommandError(str(error)) from None
    write_truth(arguments.output, made)
    console.print(f"{len(made.words)} words in {arguments.output}")
    return 0


def run_score(arguments: argparse.Namespace) -> int:
    truth = two_cities_truth() if arguments.truth is None else read_truth(arguments.truth)
    samples = pooled(measure(log, truth, arguments.warm_up) for log in read_logs(arguments.events))
    scored = Run(arguments.events.stem, figures(samples))
    show(scored)
    settings = {"truth": truth.made, "warm_up": str(arguments.warm_up)}
    return finish(Result("score", "Figures of a kept event log", settings, [scored]))
