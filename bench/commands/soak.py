"""`bench soak`: does anything grow? Hours in virtual time, or minutes for real."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.load.sender import Target
from bench.load.voices import LOADS, voices
from bench.measure.intervals import Figure, exact, slope
from bench.measure.session import run_pass
from bench.report.console import console, finish, progress
from bench.report.results import Result, Run
from bench.servers.own_server import OwnServer, own_server
from bench.virtual.server import Health, soak

__all__ = ["add_to"]

_FLAT = ("files", "tasks", "threads")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "soak",
        description="Keep a server busy with people who join, speak and leave, and watch memory, files, tasks and "
        "threads. Without --real in virtual time: real sessions and stages, no sockets, an hour in minutes. With "
        "--real, a server process and senders, a round a minute. The slope is taken behind the first quarter.",
    )
    parser.add_argument("--real", action="store_true", help="a real server in real time")
    parser.add_argument("--minutes", type=int, help="default: 60 virtual, 10 real")
    parser.add_argument("--tracks", type=int, default=6, help="people at once (default: 6)")
    parser.add_argument("--model", default="speaking", help="of the real server (default: speaking)")
    parser.add_argument("--load", choices=LOADS, default="talking", help="of the real soak")
    parser.add_argument("--seed", type=int, default=1)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    minutes = arguments.minutes or (10 if arguments.real else 60)
    began_at = time.monotonic()
    with progress("soaking", minutes * 60) as tick:
        if arguments.real:
            columns = _real(arguments, minutes, tick)
        else:
            health = asyncio.run(soak(minutes * 60, arguments.tracks, arguments.seed, 60.0, tick))
            columns = _columns(health)
    measured = Run("real" if arguments.real else "virtual", _figures(columns), {"soak": columns})
    for name, figure in measured.figures.items():
        console.print(f"{name:28} {figure.value:12.4g} {figure.unit}")
    settings = {
        "minutes": str(minutes),
        "tracks": str(arguments.tracks),
        "took_s": f"{time.monotonic() - began_at:.0f}",
        "model": Path(arguments.model).name if arguments.real else "speaking",
    }
    kind = "in real time" if arguments.real else "in virtual time"
    name = "soak-real" if arguments.real else "soak"
    return finish(Result(name, f"{minutes} minutes of soak {kind}", settings, [measured]))


def _real(arguments: argparse.Namespace, minutes: int, tick: Callable[[float], None]) -> dict[str, list[float]]:
    columns: dict[str, list[float]] = {}
    clips = voices(arguments.load, arguments.tracks, 58.0, arguments.seed)
    with own_server(arguments.model, lanes=64 if arguments.model == "speaking" else 0) as server:
        began_at = time.monotonic()
        _sample(columns, server, 0.0)
        for _ in range(minutes):
            run_pass(Target(server.url), clips, server, tick=lambda _s: tick(time.monotonic() - began_at))
            _sample(columns, server, time.monotonic() - began_at)
    return columns


def _sample(columns: dict[str, list[float]], server: OwnServer, at_s: float) -> None:
    """Between two rounds, with nobody connected."""
    for name, value in {"at_s": at_s, **server.health()}.items():
        columns.setdefault(name, []).append(value)


def _columns(health: Sequence[Health]) -> dict[str, list[float]]:
    rows = [asdict(one) for one in health]
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def _figures(columns: dict[str, list[float]]) -> dict[str, Figure]:
    settled = len(columns["at_s"]) // 4
    at = columns["at_s"][settled:]
    figures = {
        "memory_slope": exact(slope(at, columns["resident_mb"][settled:]) * 3_600, "MB/h"),
        "memory_end": exact(columns["resident_mb"][-1], "MB"),
        "objects_slope": exact(slope(at, columns["objects"][settled:]) * 3_600, "1/h"),
    }
    for name in _FLAT:
        settled_values = columns[name][settled:]
        figures[f"{name}_spread"] = exact(max(settled_values) - min(settled_values), "")
        figures[f"{name}_end"] = exact(settled_values[-1], "")
    for name in ("words", "segments"):
        if name in columns:
            figures[name] = exact(columns[name][-1], "")
    return figures
