"""`bench selfcheck`: a server with known latencies, retractions and errors is measured; every figure must match."""

from __future__ import annotations

import argparse
import subprocess
import sys

import numpy as np
from rich.table import Table

from bench.load.clips import CLIP_RATE, Clip
from bench.load.processes import LoadError
from bench.load.sender import Target
from bench.load.voices import STAGGER_S, voice_of
from bench.measure.intervals import exact
from bench.measure.session import run_pass, to_run
from bench.report.console import console, finish, progress
from bench.report.results import Result, Run
from bench.servers.script import expected, standard_script

__all__ = ["add_to"]

EXACT = ("words", "erasure", "erasure_behind", "erasure_committed", "upwr", "wer", "onsets_missed", "troubles")
WITHIN_MS = 5.0
WITHIN_SHARE = 0.02


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "selfcheck",
        description="Measure a server whose every latency, retraction and error is scripted, in real time. Every "
        "figure must be what was scripted: within 5 ms or 2%%, and erasure, upwr and WER exactly. Exit status 1 "
        "if one is not.",
    )
    parser.add_argument("--tracks", type=int, default=4, help="tracks at once (default: 4)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    script = standard_script()
    clip = Clip("silence", np.zeros(round(script.duration_s * CLIP_RATE), np.float32), script.truth)
    voices = [voice_of(clip, STAGGER_S * (number % 4)) for number in range(arguments.tracks)]
    command = [sys.executable, "-m", "bench.servers.scripted_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        url = server.stdout.readline().strip()
        if not url:
            raise LoadError("the scripted server did not start")
        with progress("measuring the scripted server", script.duration_s) as tick:
            done = run_pass(Target(url), voices, tick=tick)
        server.stdin.close()
    measured = to_run("scripted", done)
    wanted = expected(script, arguments.tracks)
    table = Table(title="self-check", title_justify="left")
    for heading in ("figure", "scripted", "measured", "difference", ""):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    failed = 0
    for name, truth in wanted.items():
        figure = measured.figures[name]
        good = matches(name, truth, figure.value)
        failed += not good
        table.add_row(
            name, f"{truth:.3f}", f"{figure.value:.3f}", f"{figure.value - truth:+.3f}", "" if good else "[red]✗[/]"
        )
    console.print(table)
    scripted = Run("script", {name: exact(value, measured.figures[name].unit) for name, value in wanted.items()})
    verdict = f"{len(wanted) - failed} of {len(wanted)} figures are what was scripted"
    console.print(f"[{'red' if failed else 'green'}]{verdict}[/]")
    settings = {"tracks": str(arguments.tracks), "bound": f"{WITHIN_MS:g} ms or {WITHIN_SHARE:.0%}", "verdict": verdict}
    finish(Result("selfcheck", "Self-check against a scripted server", settings, [scripted, measured]))
    return 1 if failed else 0


def matches(name: str, scripted: float, measured: float) -> bool:
    """Whether a figure is as close to the scripted one as it has to be."""
    if name in EXACT:
        return abs(measured - scripted) < 1e-9
    return abs(measured - scripted) <= max(WITHIN_MS, WITHIN_SHARE * abs(scripted))
