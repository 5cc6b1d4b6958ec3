"""One measured pass: clips through a server in real time, to a run of figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.load.processes import LATE_LIMIT_MS, LoadReport, run_load, shares_of
from bench.load.sender import Target, TrackPlan
from bench.load.voices import PacketPool, Voice
from bench.measure.events import TrackLog
from bench.measure.intervals import Figure, exact
from bench.measure.metrics import Samples, figures, measure, pooled
from bench.protocols import dialect_for
from bench.report.machine import gpu_utilisation
from bench.report.results import Run
from bench.servers.own_server import OwnServer, PeerServer
from captions.stream.figures import PARTS

__all__ = ["Pass", "cost_figures", "run_pass", "to_run"]


_FULLNESS_EVERY_S = 2.0

TRACKS_A_PROCESS = 300
"""What one sending process drives well in time; see `bench harness`."""


@dataclass(slots=True)
class Pass:
    """What came of it. `audio_s`: seconds of audio, over all tracks; `cpu_s` None where the server is not ours.

    `fullest`: how full the server said it was at most, 0 to 1, of what, and when (seconds since the load began).
    """

    samples: Samples
    logs: list[TrackLog]
    load: LoadReport
    audio_s: float
    cpu_s: float | None = None
    memory_mb: float | None = None
    gpu_percent: list[float] = field(default_factory=list)
    fullest: tuple[float, str, float] = (0.0, "", 0.0)


def run_pass(
    target: Target,
    voices: Sequence[Voice],
    server: PeerServer | None = None,
    warm_up_s: float = 0.0,
    core: int | None = None,
    done_within_s: float = 60.0,
    tick: Callable[[float], None] = lambda _elapsed_s: None,
    *,
    levels: bool = False,
) -> Pass:
    """Send each voice as a track of its own, and measure. `levels`: each packet says how loud it is.

    Raises:
        LoadError: the server refused, or a sender failed.
    """
    names = [f"track{number}" for number in range(len(voices))]
    wire = dialect_for(target.protocol, target.url, None, names[:1], target.audio_format, target.language, 0.0)
    pool = PacketPool(wire.audio_format)
    packets = {id(voice): pool.packets(voice) for voice in voices}
    told = {id(voice): pool.levels(voice) for voice in voices} if levels else {}
    plans = [
        TrackPlan(name, packets[id(voice)], voice.starts_s, number, told.get(id(voice), ()))
        for number, (name, voice) in enumerate(zip(names, voices, strict=True))
    ]
    cpu_before = server.cpu_s() if server is not None else 0.0
    fullest = _Fullest(server, tick)
    gpu = _Gpu(fullest.tick)
    shares = shares_of(target, plans, -(-len(voices) // TRACKS_A_PROCESS), done_within_s=done_within_s)
    load = run_load(shares, core, gpu.tick)
    truths = {name: voice.truth for name, voice in zip(names, voices, strict=True)}
    return Pass(
        samples=pooled(measure(log, truths[log.track], warm_up_s) for log in load.logs),
        logs=load.logs,
        load=load,
        audio_s=sum(voice.duration_s for voice in voices),
        cpu_s=server.cpu_s() - cpu_before if server is not None else None,
        memory_mb=server.resident_mb() if server is not None else None,
        gpu_percent=gpu.percent,
        fullest=fullest.seen,
    )


def to_run(name: str, done: Pass) -> Run:
    """A pass as a run of a result, with what its plots are drawn from."""
    samples = done.samples
    series = {
        "word_latency": {"position_s": [at for at, _ in samples.word_latency_at], "ms": samples.word_latency},
        "word_latency_reported": {"ms": samples.word_latency_reported},
        "word_latency_server": {"ms": samples.word_latency_server},
        "shown_latency": {"ms": samples.shown_latency},
        "ttfs": {"ms": samples.ttfs},
        "first_partial": {"ms": samples.first_partial},
        "late": {"ms": _thinned(done.load.late_ms)},
        "parts": {part: samples.server.get(part, []) for part in PARTS},
        "end_error": {"ms": samples.end_error},
    }
    notes = []
    if done.load.harness_limited:
        notes.append(
            f"the harness was late itself: p99 {done.load.late_p99_ms:.0f} ms, over {LATE_LIMIT_MS:.0f}; latencies "
            "count from the moment each packet was really sent, so they hold, but the load was not quite real time"
        )
    notes += [f"{samples.troubles.count(trouble)} × {trouble}" for trouble in dict.fromkeys(samples.troubles)]
    return Run(name, {**figures(samples), **cost_figures(done)}, series, notes)


def cost_figures(done: Pass) -> dict[str, Figure]:
    """What it cost the server, and how well the harness kept time."""
    found = {
        "audio_s": exact(done.audio_s, "s"),
        "late_p99": exact(done.load.late_p99_ms, "ms", len(done.load.late_ms)),
        "held_up": exact(done.load.held_up_share, ""),
    }
    if done.cpu_s is not None:
        found["server_cpu"] = exact(done.cpu_s, "s")
        found["server_cpu_per_track"] = exact(done.cpu_s / done.audio_s, "s/s")
    if done.fullest[1]:
        found["server_fullness"] = exact(done.fullest[0], "")
    if done.memory_mb is not None:
        found["server_memory"] = exact(done.memory_mb, "MB")
    if done.gpu_percent:
        found["gpu_utilisation"] = exact(sum(done.gpu_percent) / len(done.gpu_percent), "%", len(done.gpu_percent))
    return found


class _Fullest:
    """Asks our own server every two seconds how full it is, and keeps the worst."""

    def __init__(self, server: PeerServer | None, tick: Callable[[float], None]) -> None:
        self.seen = (0.0, "", 0.0)
        self._server = server if isinstance(server, OwnServer) else None
        self._tick = tick
        self._next_s = _FULLNESS_EVERY_S

    def tick(self, elapsed_s: float) -> None:
        self._tick(elapsed_s)
        if self._server is not None and elapsed_s >= self._next_s:
            self.seen = max(self.seen, (*self._server.fullest(), elapsed_s))
            self._next_s = elapsed_s + _FULLNESS_EVERY_S


class _Gpu:
    """Samples GPU utilisation about once a second while the load runs, where there is a GPU."""

    def __init__(self, tick: Callable[[float], None]) -> None:
        self.percent: list[float] = []
        self._tick = tick
        self._next_s = 0.0 if gpu_utilisation() else math.inf

    def tick(self, elapsed_s: float) -> None:
        self._tick(elapsed_s)
        if elapsed_s >= self._next_s:
            self.percent.append(max(gpu_utilisation()))
            self._next_s = elapsed_s + 1.0


def _thinned(values: Sequence[float], most: int = 400) -> list[float]:
    """Evenly chosen values, for plots."""
    ordered = sorted(values)
    if len(ordered) <= most:
        return ordered
    return [ordered[place * (len(ordered) - 1) // (most - 1)] for place in range(most)]
