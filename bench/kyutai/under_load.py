"""The whole server on a GPU, with as many people talking as it has lanes: Opus over WebSockets, by its own account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.load.processes import run_load, shares_of
from bench.load.sender import Target, TrackPlan
from bench.load.voices import PacketPool, all_talking
from bench.servers.own_server import OwnServer, own_server

__all__ = ["Load", "under_load"]

MOST_TRACKS = 300
TRACKS_A_PROCESS = 100
"""What one sending process drives well in time, with a margin: see `bench harness`."""

STEP_BUCKETS_S = (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.16, 0.24, 0.32, 0.5, 0.8)


@dataclass(frozen=True, slots=True)
class Load:
    """`step_within_ms`: the bound of the histogram's bucket that p95 of the steps are in, None past the last.

    `late_ms`: of the load itself, p99. `cores`: of the server, on average.
    """

    tracks: int
    steps: int
    step_mean_ms: float
    step_within_ms: float | None
    dropped_s: float
    cores: float
    late_ms: float


def under_load(
    folder: Path,
    lanes: int,
    settings: dict[str, object],
    seconds: float,
    tick: Callable[[float], None] = lambda _elapsed_s: None,
) -> Load:
    """Talk into a server of its own for `seconds`. `settings`: of the model, as in config.toml.

    Raises:
        LoadError: the server did not start, or refused.
    """
    tracks = min(lanes, MOST_TRACKS)
    with own_server(str(folder), lanes, settings={"model": settings}) as server:
        target = Target(server.url)
        pool = PacketPool(target.audio_format)
        plans = [
            TrackPlan(f"track{number}", pool.packets(voice), voice.starts_s, number)
            for number, voice in enumerate(all_talking(tracks, seconds))
        ]
        cpu_before = server.cpu_s()
        report = run_load(shares_of(target, plans, -(-tracks // TRACKS_A_PROCESS), done_within_s=30.0), tick=tick)
        cores = (server.cpu_s() - cpu_before) / (report.ended_at - report.began_at)
        steps = server.metric("captions_step_seconds_count")
        return Load(
            tracks=tracks,
            steps=int(steps),
            step_mean_ms=server.metric("captions_step_seconds_sum") / max(1.0, steps) * 1e3,
            step_within_ms=_p95_ms(server, steps),
            dropped_s=server.metric("captions_dropped_audio_seconds_total", reason="overload"),
            cores=cores,
            late_ms=report.late_p99_ms,
        )


def _p95_ms(server: OwnServer, steps: float) -> float | None:
    for bound_s in STEP_BUCKETS_S:
        if server.metric("captions_step_seconds_bucket", le=str(bound_s)) >= 0.95 * steps:
            return bound_s * 1e3
    return None
