"""`bench overload`: far more speakers than lanes for a while, then calm: what is dropped, and how soon it is over."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

import numpy as np

from bench.load.sender import Target
from bench.load.voices import Voice, all_talking
from bench.measure.events import TrackLog
from bench.measure.intervals import Figure, exact
from bench.measure.session import Pass, run_pass
from bench.report.console import finish, progress, show
from bench.report.results import Result, Run
from bench.servers.own_server import own_server

__all__ = ["add_to", "calm_after_s", "crowd"]

_DROPPED = "captions_dropped_audio_seconds_total"
_WINDOW_S = 3.0


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "overload",
        description="So many times more people than there are lanes talk all the while, then all but half a batch fall "
        "silent. Reports the audio that was dropped, by the server's metric and by what each track was told, and how "
        "long after the calm began the p95 of word latency less look-ahead is normal again.",
    )
    parser.add_argument("--lanes", type=int, default=64)
    parser.add_argument("--step-ms", type=float, default=27.0)
    parser.add_argument("--times", type=int, default=3, help="speakers a lane (default: 3)")
    parser.add_argument("--seconds", type=float, default=30.0, help="of overload (default: 30)")
    parser.add_argument("--calm-s", type=float, default=30.0, help="afterwards (default: 30)")
    parser.add_argument("--normal-ms", type=float, default=200.0, help="of the latency (default: 200)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    people = crowd(arguments.times * arguments.lanes, max(1, arguments.lanes // 2), arguments.seconds, arguments.calm_s)
    with own_server("speaking", arguments.lanes, arguments.step_ms) as server:
        with progress(f"{len(people)} tracks", arguments.seconds + arguments.calm_s) as tick:
            done = run_pass(Target(server.url), people, server, tick=tick)
        counted_s = server.metric(_DROPPED, reason="overload")
    overload = Run(
        f"{len(people)} speakers on {arguments.lanes} lanes",
        _figures(done, counted_s, arguments),
        notes=sorted({log.troubles[0].message for log in done.logs if log.troubles}),
    )
    show(overload)
    settings = {name: str(value) for name, value in vars(arguments).items() if name not in ("run", "command")}
    return finish(Result("overload", "Overload, then calm", settings, [overload]))


def crowd(speakers: int, lasting: int, overload_s: float, calm_s: float) -> list[Voice]:
    """Everybody talks for `overload_s`; the first `lasting` of them go on for `calm_s` more."""
    duration_s = overload_s + calm_s
    brief = all_talking(speakers, overload_s)[lasting:]
    return [*all_talking(lasting, duration_s), *(Voice(one.pieces, duration_s, one.starts_s) for one in brief)]


def calm_after_s(moments: Sequence[tuple[float, float]], calm_at: float, calm_s: float, normal_ms: float) -> float:
    """How long after `calm_at` words come, and the p95 of every three seconds is within `normal_ms`.

    `moments` are (at, ms). Seconds without a word are not normal: somebody talks all the while.
    """
    windows: list[list[float]] = [[] for _ in range(max(1, math.floor(calm_s / _WINDOW_S)))]
    for at, ms in moments:
        if 0 <= at - calm_at < len(windows) * _WINDOW_S:
            windows[math.floor((at - calm_at) / _WINDOW_S)].append(ms)
    over = [n for n, values in enumerate(windows) if not values or np.percentile(values, 95) > normal_ms]
    return (max(over) + 1) * _WINDOW_S if over else 0.0


def _figures(done: Pass, counted_s: float, arguments: argparse.Namespace) -> dict[str, Figure]:
    calm_at = done.load.began_at + arguments.seconds
    troubles = [trouble for log in done.logs for trouble in log.troubles]
    told_s = sum(trouble.lost_s for trouble in troubles)
    overheads = [moment for log in done.logs for moment in _overheads(log)]
    during = [ms for at, ms in overheads if at < calm_at]
    return {
        "words": exact(sum(len(seen.committed) for log in done.logs for seen in log.seen if seen.final), "words"),
        "dropped_counted": exact(counted_s, "s"),
        "dropped_told": exact(told_s, "s"),
        "tracks_told": exact(sum(bool(log.troubles) for log in done.logs), "tracks"),
        "tracks_done": exact(sum(log.done_at is not None for log in done.logs), "tracks"),
        "other_troubles": exact(sum(trouble.message != "gap: overload" for trouble in troubles), ""),
        "overload_overhead_p95": exact(float(np.percentile(during, 95)) if during else 0.0, "ms", len(during)),
        "calm_after": exact(calm_after_s(overheads, calm_at, arguments.calm_s, arguments.normal_ms), "s"),
        "server_cpu": exact(done.cpu_s or 0.0, "s"),
        "late_p99": exact(done.load.late_p99_ms, "ms"),
    }


def _overheads(log: TrackLog) -> list[tuple[float, float]]:
    return [
        (seen.at, seen.server_ms["word_latency"] - seen.server_ms["model_delay"])
        for seen in log.seen
        if "model_delay" in seen.server_ms
    ]
