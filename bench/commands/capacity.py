"""`bench capacity`: the most tracks a server holds at a latency people can follow."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field
from pathlib import Path

from bench.commands.latency import add_clip_options, clip_of
from bench.load.clips import Clip
from bench.load.sender import Target
from bench.load.voices import LOADS, voices
from bench.measure.capacity import search
from bench.measure.intervals import exact, slope
from bench.measure.session import run_pass, to_run
from bench.report.console import console, finish, progress
from bench.report.names import reading, title
from bench.report.results import Result, Run
from bench.servers.own_server import own_server
from captions.client import GATHER_S

__all__ = ["add_to"]

WARM_UP_S = 5.0
_LEAST_WORDS = 0.9
_KEPT = (
    "word_latency_reported",
    "word_latency_server",
    "overhead",
    "part_",
    "first_partial_server",
    "ttfs_server",
    "transport",
    "words",
    "erasure_committed",
    "troubles",
    "audio_s",
    "late_p99",
    "held_up",
    "server_",
    "gpu_",
)
_KEPT_OF_SPEECH = ("word_latency", "shown_latency", "first_partial", "ttfs", "erasure", "wer")
"""The speaking model says other words than were spoken, so what needs gold words means nothing of it."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "capacity",
        description="Double the tracks until the server does not hold them, then bisect. Held: p95 of word latency "
        "under the target all through, no audio dropped, no error, and for each word spoken nine tenths of the "
        "words of the first trial. Each trial has a server of its own. Latency counts from gold word ends; with "
        "--model speaking, from the ends it reports, which are exact.",
    )
    parser.add_argument(
        "--model",
        default="auto",
        help="what `captions serve` takes, speaking, or speaking:FOLDER at that checkpoint's cost (default: auto)",
    )
    parser.add_argument("--lanes", type=int, default=0, help="default: what suits the model; 64 of the speaking one")
    parser.add_argument(
        "--step-ms", type=float, default=27.0, help="what a step of the speaking model costs (default: 27)"
    )
    add_clip_options(parser)
    parser.add_argument("--load", choices=LOADS, default="talking", help="all talking, or meetings as they are drawn")
    parser.add_argument(
        "--figure",
        choices=("word_latency", "word_latency_reported", "overhead"),
        help="whose p95 has the target; overhead is word latency less the model's look-ahead (default: see above)",
    )
    parser.add_argument("--target-ms", type=float, help="default: 1000 with the speaking model, else 4000")
    parser.add_argument(
        "--urgent", action="store_true", help="run the server before other processes: on a busy machine, as root"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of each trial (default: 60)")
    parser.add_argument("--first", type=int, default=1, help="tracks of the first trial (default: 1)")
    parser.add_argument("--most", type=int, default=600, help="tracks not to exceed (default: 600)")
    parser.add_argument("--pin", action="store_true", help="server on the first core, senders on the last")
    parser.add_argument("--fronts", type=int, default=0, help="processes that share the port (default: 0)")
    parser.add_argument("--levels", action="store_true", help="packets say how loud they are, as SFUs know it")
    parser.add_argument(
        "--gather-ms", type=float, default=GATHER_S * 1_000, help="0: every packet by itself (default: 20)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the meetings (default: 1)")
    parser.set_defaults(run=run)


@dataclass
class _Search:
    """The trials so far, as the columns of the plot."""

    arguments: argparse.Namespace
    clip: Clip
    figure: str
    target_ms: float
    columns: dict[str, list[float]] = field(
        default_factory=lambda: {
            name: []
            for name in (
                "tracks",
                "p50_ms",
                "p95_ms",
                "cores",
                "memory_mb",
                "words_per_spoken",
                "held",
                "late_p99_ms",
                "fullness",
            )
        }
    )
    runs: list[Run] = field(default_factory=list)

    def hold(self, tracks: int) -> bool:
        """One trial: whether the server holds so many tracks."""
        run, row, troubles = self._measure(tracks)
        row["held"] = float(self._judge(row, troubles))
        for name, column in self.columns.items():
            column.append(row[name])
        self._keep(run)
        self._show(run, row)
        return bool(row["held"])

    def _measure(self, tracks: int) -> tuple[Run, dict[str, float], list[str]]:
        """A pass through a server of its own: its figures, its row of the columns, and what went wrong."""
        asked = self.arguments
        cores = sorted(os.sched_getaffinity(0)) if asked.pin else [None]
        length_s = WARM_UP_S + asked.seconds
        clips = voices(asked.load, tracks, length_s, asked.seed, self.clip)
        fronts = {"server": {"fronts": asked.fronts}}
        with (
            own_server(
                asked.model,
                asked.lanes,
                asked.step_ms,
                cores[0],
                urgent=asked.urgent,
                settings=fronts,
            ) as server,
            progress(f"{tracks} tracks", length_s) as tick,
        ):
            target = Target(server.url, gather_s=asked.gather_ms / 1_000)
            done = run_pass(target, clips, server, WARM_UP_S, core=cores[-1], tick=tick, levels=asked.levels)
        run = to_run(f"{tracks} tracks", done)
        p50, p95 = (run.figures.get(f"{self.figure}_{rank}") for rank in ("p50", "p95"))
        row = {
            "tracks": tracks,
            "p50_ms": p50.value if p50 else 0.0,
            "p95_ms": p95.value if p95 else 0.0,
            "cores": (done.cpu_s or 0.0) / length_s,
            "memory_mb": done.memory_mb or 0.0,
            "words_per_spoken": run.figures["words"].value / max(1, sum(len(clip.truth.words) for clip in clips)),
            "late_p99_ms": done.load.late_p99_ms,
            "fullness": done.fullest[0],
        }
        share, limit, at_s = done.fullest
        if limit:
            run.notes.append(f"said to be {share:.0%} full of {limit} after {at_s:.0f} s")
        return run, row, done.samples.troubles

    def _judge(self, row: dict[str, float], troubles: list[str]) -> bool:
        """Held: the target kept, nothing gone wrong, and nearly as many words as in the first trial."""
        first = self.columns["words_per_spoken"][:1] or [0.0]
        enough = row["words_per_spoken"] >= _LEAST_WORDS * first[0]
        return 0.0 < row["p95_ms"] <= self.target_ms and not troubles and enough

    def _keep(self, run: Run) -> None:
        """The figures that mean something of this model."""
        kept = _KEPT if _speaks(self.arguments.model) else (*_KEPT, *_KEPT_OF_SPEECH)
        figures = {name: figure for name, figure in run.figures.items() if name.startswith(kept)}
        self.runs.append(Run(run.name, figures, notes=run.notes))

    def _show(self, run: Run, row: dict[str, float]) -> None:
        p95 = run.figures.get(f"{self.figure}_p95")
        console.print(
            f"{row['tracks']:5.0f} tracks  p95 {reading(p95) if p95 else '-':>9}  {row['cores']:.2f} cores  "
            f"{row['words_per_spoken']:.2f} words for each spoken  late p99 {row['late_p99_ms']:.1f} ms  "
            f"{row['fullness']:.0%} full  {'held' if row['held'] else 'not held'}"
            + (f"  ({run.notes[0]})" if run.notes else "")
        )

    def memory_per_track(self) -> float:
        """MB a track adds, by the trials that held: an overloaded server drops what it would have kept."""
        held = [place for place, good in enumerate(self.columns["held"]) if good]
        tracks, memory = ([self.columns[name][place] for place in held] for name in ("tracks", "memory_mb"))
        return slope(tracks, memory)


def _speaks(model: str) -> bool:
    """Whether its words are those of the speaking model, alone or at the cost of another."""
    return model.partition(":")[0] == "speaking"


def run(arguments: argparse.Namespace) -> int:
    speaking = _speaks(arguments.model)
    target_ms = arguments.target_ms or (1_000.0 if speaking else 4_000.0)
    figure = arguments.figure or ("word_latency_reported" if speaking else "word_latency")
    found = _Search(arguments, clip_of(arguments), figure, target_ms)
    trials = search(found.hold, arguments.first, arguments.most)
    held = max((trial.tracks for trial in trials if trial.held), default=0)
    place = found.columns["tracks"].index(held) if held else 0
    figures = {"capacity_tracks": exact(held, "tracks"), "target": exact(target_ms, "ms")}
    if held:
        figures["server_cpu_per_track"] = exact(found.columns["cores"][place] / held, "s/s")
        figures["memory_per_track"] = exact(found.memory_per_track(), "MB")
    summary = Run(f"{Path(arguments.model).name}, {arguments.load}", figures, {"capacity": found.columns})
    console.print(f"holds {held} tracks with p95 of {title(figure)} under {target_ms:.0f} ms")
    model = Path(arguments.model).name
    settings = {name: str(value) for name, value in vars(arguments).items() if name not in ("run", "command")}
    by_tracks = [
        run for _, run in sorted(zip(found.columns["tracks"], found.runs, strict=True), key=lambda one: one[0])
    ]
    return finish(
        Result(
            f"capacity-{model}-{arguments.load}",
            f"Capacity: {model}, {arguments.load}",
            settings | {"model": model, "figure": figure, "target_ms": str(target_ms)},
            [summary, *by_tracks],
        )
    )
