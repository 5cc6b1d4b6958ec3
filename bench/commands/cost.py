"""What a participant costs the server: `python -m bench cost`.

Ten-person meetings in real time to a server in a process of its own, whose model only waits: processor time a
participant-second, sockets and all. Packets gathered or one by one, with levels or without; as plain RTP, or as a Jitsi
bridge sends them; or each participant on a socket of its own in Kyutai's protocol, as La Suite Meet's plugin does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from bench.load.sender import Target
from bench.load.voices import LOADS, voices
from bench.measure.events import TrackLog
from bench.measure.intervals import exact
from bench.measure.session import run_pass, to_run
from bench.protocols import PROTOCOLS
from bench.report.console import console, finish, progress
from bench.report.names import reading
from bench.report.results import Result, Run
from bench.servers.own_server import OwnServer, own_server
from captions.client import GATHER_S

__all__ = ["add_to"]

_SHOWN = ("overhead_p50", "overhead_p95", "word_latency_reported_p95")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("cost", description=__doc__)
    parser.add_argument(
        "--protocol", choices=[name for name in PROTOCOLS if name in ("native", "kyutai", "jitsi", "rtp")]
    )
    parser.add_argument("--load", choices=LOADS, default="meetings", help="default: meetings")
    parser.add_argument("--tracks", type=int, default=300, help="default: 300")
    parser.add_argument("--seconds", type=float, default=30.0, help="default: 30")
    parser.add_argument("--lanes", type=int, default=64, help="default: 64")
    parser.add_argument("--step-ms", type=float, default=27.0, help="what a step of the model takes (default: 27)")
    parser.add_argument(
        "--gather-ms", type=float, default=GATHER_S * 1_000, help="0: every packet by itself (default: 20)"
    )
    parser.add_argument("--fronts", type=int, default=0, help="processes that share the port (default: 0)")
    parser.add_argument(
        "--kill-model", type=float, metavar="S", help="kill the model's process then, and see when words come again"
    )
    parser.add_argument("--levels", action="store_true", help="packets say how loud they are, as SFUs know it")
    parser.add_argument("--urgent", action="store_true", help="run the server before other processes, as root")
    parser.add_argument("--seed", type=int, default=1, help="of the meetings (default: 1)")
    parser.set_defaults(run=run, protocol="native")


def run(arguments: argparse.Namespace) -> int:
    asked = arguments
    people = voices(asked.load, asked.tracks, asked.seconds, asked.seed)
    name = f"{asked.tracks} participants, {asked.load}, {asked.protocol}"
    settings = {"server": {"fronts": asked.fronts}}
    if asked.protocol == "rtp":
        settings |= {"rtp": {"listen": "127.0.0.1:0"}}
    with (
        own_server("speaking", asked.lanes, asked.step_ms, urgent=asked.urgent, settings=settings) as server,
        progress(name, asked.seconds) as tick,
    ):
        target = Target(server.url, asked.protocol, gather_s=asked.gather_ms / 1_000)
        killing = _Killing(server, asked.kill_model, tick)
        done = run_pass(target, people, server, tick=killing.tick, levels=asked.levels)
    run = to_run(name, done)
    assert done.cpu_s is not None
    cost = exact(done.cpu_s / done.audio_s * 1_000, "ms/s")
    figures = {"participant_cost": cost} | {
        name: figure
        for name, figure in run.figures.items()
        if name.startswith(("overhead", "part_", "words", "troubles", "late_p99", "held_up", "server_"))
    }
    shown = ", ".join(f"{name} {reading(run.figures[name])}" for name in _SHOWN if name in run.figures)
    console.print(f"{name}: {reading(cost)} of processor a participant, {cost.value * asked.tracks / 1e3:.2f} cores")
    share, limit, _ = done.fullest
    if killing.killed_at is not None:
        figures["outage"] = exact(_outage_s(done.logs, killing.killed_at) * 1_000, "ms")
        console.print(f"  the model was killed: no caption of anybody for {reading(figures['outage'])}")
    console.print(f"  {shown}; {share:.0%} full of {limit}; harness late p99 {done.load.late_p99_ms:.1f} ms")
    for note in run.notes:
        console.print(f"  [yellow]{note}[/]")
    given = {name: str(value) for name, value in vars(asked).items() if name not in ("run", "command")}
    return finish(
        Result(
            f"cost-{asked.protocol}-{asked.load}",
            "What a participant costs",
            given,
            [Run(name, figures, notes=run.notes)],
        )
    )


@dataclass
class _Killing:
    """Kills the model's process after so many seconds, once, and notes when."""

    server: OwnServer
    after_s: float | None
    progress: Callable[[float], None]
    killed_at: float | None = None

    def tick(self, elapsed_s: float) -> None:
        self.progress(elapsed_s)
        if self.after_s is not None and self.killed_at is None and elapsed_s >= self.after_s:
            self.killed_at = time.monotonic()
            self.server.kill_model()


def _outage_s(logs: Iterable[TrackLog], killed_at: float) -> float:
    """The longest time from then on in which nobody's captions changed."""
    seen = sorted(one.at for log in logs for one in log.seen)
    return max((later - max(before, killed_at) for before, later in pairwise(seen) if later > killed_at), default=0.0)
