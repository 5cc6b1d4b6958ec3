"""`bench harness`: how many tracks the harness itself can drive in time."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from bench.load.processes import LATE_LIMIT_MS, LoadError
from bench.load.sender import Target
from bench.load.voices import all_talking
from bench.measure.intervals import Figure, exact, percentile_of
from bench.measure.session import Pass, run_pass
from bench.report.console import console, finish, progress, show
from bench.report.results import Result, Run

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "harness",
        description="Send more and more Opus tracks from one process on one core to a server that reads and says "
        f"nothing, and report how late packets left. The limit is where their p99 passes {LATE_LIMIT_MS:g} ms.",
    )
    parser.add_argument("--tracks", type=int, nargs="+", default=[50, 150, 300, 500], help="default: 50 150 300 500")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each (default: 20)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    cores = sorted(os.sched_getaffinity(0))
    columns: dict[str, list[float]] = {name: [] for name in ("tracks", "late_p50", "late_p99", "core_share")}
    runs = []
    for tracks in arguments.tracks:
        done = _drive(tracks, arguments.seconds, cores[0], cores[-1])
        figures = _figures(done, arguments.seconds)
        runs.append(Run(f"{tracks} tracks", figures))
        show(runs[-1])
        for name in ("late_p50", "late_p99", "core_share"):
            columns[name].append(figures[name].value)
        columns["tracks"].append(tracks)
    in_time = [
        tracks for tracks, late in zip(columns["tracks"], columns["late_p99"], strict=True) if late <= LATE_LIMIT_MS
    ]
    limit = Run("the harness", {"tracks_in_time": exact(max(in_time, default=0), "tracks")}, {"harness": columns})
    console.print(
        f"in time with up to {max(in_time, default=0):.0f} tracks, of those tried, from one process on one core"
    )
    settings = {
        "seconds": str(arguments.seconds),
        "codec": "opus, 20 ms",
        "senders": "one process on a core of its own",
    }
    return finish(Result("harness", "What the harness itself can drive", settings, [limit, *runs]))


def _drive(tracks: int, seconds: float, sink_core: int, sender_core: int) -> Pass:
    command = [sys.executable, "-m", "bench.servers.sink", "--core", str(sink_core)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sink:
        assert sink.stdout is not None
        assert sink.stdin is not None
        url = sink.stdout.readline().strip()
        if not url:
            raise LoadError("the sink did not start")
        with progress(f"{tracks} tracks", seconds) as tick:
            done = run_pass(Target(url), all_talking(tracks, seconds), core=sender_core, done_within_s=0.1, tick=tick)
        sink.stdin.close()
    return done


def _figures(done: Pass, seconds: float) -> dict[str, Figure]:
    late = done.load.late_ms
    found = {f"late_p{rank}": percentile_of(late, rank, "ms") for rank in (50, 95, 99)}
    figures = {name: figure for name, figure in found.items() if figure is not None}
    figures["late_max"] = exact(max(late, default=0.0), "ms", len(late))
    figures["core_share"] = exact(done.load.sender_cpu_s / seconds, "cores")
    figures["held_up"] = exact(done.load.held_up_share, "")
    return figures
