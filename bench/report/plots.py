"""Plots of results as SVG text, with matplotlib."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from bench.report.results import Result, Run
from captions.stream.figures import PARTS

__all__ = ["plots"]

matplotlib.use("svg")
matplotlib.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "bench",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "axes.prop_cycle": cycler(color=["#1f6fb4", "#d1495b", "#3a9d5d", "#8a6fb0", "#c98b2b", "#5b6770"]),
    }
)

_SIZE = (5.4, 2.9)


def plots(result: Result) -> list[tuple[str, str]]:
    """Every plot there is data for: (caption, SVG)."""
    drawn = []
    for caption, draw in (
        ("Latency of words: the share that came within so many milliseconds", _latencies),
        ("Word latency over the clip", _over_time),
        ("Where the time of the newest word of each message went, by the server's own account (mean)", _parts),
        ("The knee: the latency that has the target, by number of tracks; crosses were not held", _knee),
        ("Processor cores and memory by number of tracks", _cost),
        ("How late the harness itself was", _lateness),
        ("The harness alone: lateness by number of tracks", _harness),
        ("One step by number of lanes", _steps),
        ("The GPU's memory by number of lanes, measured and worked out on paper", _gpu_memory),
        ("Resident memory, every garbage collected before each point", _memory),
        ("Open files, tasks and threads", _counts),
    ):
        svg = _svg(draw, result.runs)
        if svg is not None:
            drawn.append((caption, svg))
    return drawn


def _svg(draw: Callable[[Axes, Sequence[Run]], bool], runs: Sequence[Run]) -> str | None:
    canvas = Canvas(figsize=_SIZE, layout="constrained")
    if not draw(canvas.subplots(), runs):
        return None
    out = io.StringIO()
    canvas.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()[out.getvalue().index("<svg") :]


def _latencies(axes: Axes, runs: Sequence[Run]) -> bool:
    """One curve a kind for one run, one a run for several."""
    measured = [run for run in runs if run.series.get("word_latency", {}).get("ms")]
    several = len(measured) > 1
    kinds = {"word_latency": "committed, gold ends"}
    if not several:
        kinds |= {
            "word_latency_reported": "committed, reported ends",
            "word_latency_server": "committed, server's own",
            "shown_latency": "shown for good",
        }
    for run in measured:
        for kind, label in kinds.items():
            values = np.sort(run.series.get(kind, {}).get("ms", []))
            if len(values):
                axes.plot(values, np.arange(1, len(values) + 1) / len(values), label=run.name if several else label)
    axes.set(xlabel="ms after the word's last audio was sent", ylabel="share of words", ylim=(0, 1))
    axes.set_xlim(left=0)
    if measured:
        axes.legend(frameon=False, loc="lower right")
    return bool(measured)


def _over_time(axes: Axes, runs: Sequence[Run]) -> bool:
    drawn = False
    for run in runs:
        points = run.series.get("word_latency", {})
        if points.get("position_s"):
            axes.plot(points["position_s"], points["ms"], ".", markersize=4, label=run.name)
            drawn = True
    axes.set(xlabel="position in the audio, s", ylabel="ms")
    axes.set_ylim(bottom=0)
    if drawn:
        axes.legend(frameon=False)
    return drawn


def _parts(axes: Axes, runs: Sequence[Run]) -> bool:
    shares = [(run.name, [run.figures.get(f"part_{part}") for part in PARTS]) for run in runs]
    shares = [(name, parts) for name, parts in shares if all(parts)]
    for row, (_, parts) in enumerate(shares):
        left = 0.0
        for place, (part, figure) in enumerate(zip(PARTS, parts, strict=True)):
            width = figure.value if figure else 0.0
            axes.barh(row, width, left=left, color=f"C{place}", label=part.replace("_", " ") if row == 0 else None)
            left += width
    axes.set_yticks(range(len(shares)), [name for name, _ in shares])
    axes.invert_yaxis()
    axes.set(xlabel="ms")
    if shares:
        axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.4, 1.0), columnspacing=1.0)
    return bool(shares)


def _knee(axes: Axes, runs: Sequence[Run]) -> bool:
    for run in runs:
        trials = run.series.get("capacity")
        if trials is None:
            continue
        order = np.argsort(trials["tracks"])
        tracks, p50, p95, held = (np.array(trials[name])[order] for name in ("tracks", "p50_ms", "p95_ms", "held"))
        axes.plot(tracks, p95, "-", color="C0", label="p95")
        axes.plot(tracks, p50, "-", color="C2", label="median")
        axes.plot(tracks[held == 1], p95[held == 1], "o", color="C0")
        axes.plot(tracks[held == 0], p95[held == 0], "x", color="C1", markersize=8)
        axes.axhline(run.figures["target"].value, linestyle="--", color="C5", linewidth=1, label="target")
        axes.axvline(run.figures["capacity_tracks"].value, linestyle=":", color="C5", linewidth=1)
        axes.set(xlabel="tracks", ylabel="ms", yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.legend(frameon=False)
        return True
    return False


def _cost(axes: Axes, runs: Sequence[Run]) -> bool:
    trials = next((run.series["capacity"] for run in runs if "capacity" in run.series), None)
    if trials is None:
        return False
    order = np.argsort(trials["tracks"])
    tracks = np.array(trials["tracks"])[order]
    axes.plot(tracks, np.array(trials["cores"])[order], "o-", color="C0")
    axes.set(xlabel="tracks", ylabel="cores")
    axes.set_ylim(bottom=0)
    memory = axes.twinx()
    memory.grid(visible=False)
    memory.plot(tracks, np.array(trials["memory_mb"])[order], "s--", color="C4", markersize=4)
    memory.set_ylabel("memory, MB", color="C4")
    memory.set_ylim(bottom=0)
    return True


def _lateness(axes: Axes, runs: Sequence[Run]) -> bool:
    drawn = False
    for run in runs:
        values = run.series.get("late", {}).get("ms", [])
        if values:
            axes.plot(values, np.linspace(0, 1, len(values)), label=run.name)
            drawn = True
    axes.set(xlabel="ms between the moment a packet was due and the moment it was sent", ylabel="share of packets")
    axes.set_xscale("symlog", linthresh=1)
    if drawn:
        axes.legend(frameon=False, loc="lower right")
    return drawn


def _harness(axes: Axes, runs: Sequence[Run]) -> bool:
    trials = next((run.series["harness"] for run in runs if "harness" in run.series), None)
    if trials is None:
        return False
    axes.plot(trials["tracks"], trials["late_p99"], "o-", label="p99 lateness, ms")
    axes.plot(trials["tracks"], trials["late_p50"], "o-", label="median lateness, ms", color="C2")
    axes.axhline(10, linestyle="--", color="C5", linewidth=1)
    axes.set(xlabel="tracks", ylabel="ms")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return True


def _steps(axes: Axes, runs: Sequence[Run]) -> bool:
    drawn = False
    for run in runs:
        steps = run.series.get("step")
        if steps is not None:
            axes.plot(steps["lanes"], steps["p95_ms"], "o-", label=f"{run.name}, p95")
            axes.plot(steps["lanes"], steps["p50_ms"], "o-", label=f"{run.name}, median")
            drawn = True
    if drawn:
        axes.axhline(80, linestyle="--", color="C5", linewidth=1, label="real time")
        axes.set(xlabel="lanes", ylabel="ms a step")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
    return drawn


def _gpu_memory(axes: Axes, runs: Sequence[Run]) -> bool:
    columns = next((run.series["gpu_memory"] for run in runs if "gpu_memory" in run.series), None)
    if columns is None:
        return False
    axes.plot(columns["lanes"], columns["paper_gib"], "--", label="on paper")
    measured = columns.get("gib", [])
    if measured:
        axes.plot(columns["lanes"], measured, "o-", label="measured")
    axes.set(xlabel="lanes", ylabel="GiB")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return True


def _memory(axes: Axes, runs: Sequence[Run]) -> bool:
    drawn = False
    for run in runs:
        soak = run.series.get("soak")
        if soak is not None:
            axes.plot(np.array(soak["at_s"]) / 60, soak["resident_mb"], ".-", label=run.name)
            drawn = True
    axes.set(xlabel="minutes", ylabel="MB")
    axes.set_ylim(bottom=0)
    return drawn


def _counts(axes: Axes, runs: Sequence[Run]) -> bool:
    drawn = False
    for run in runs:
        soak = run.series.get("soak")
        if soak is not None:
            for name in ("files", "tasks", "threads"):
                axes.plot(np.array(soak["at_s"]) / 60, soak[name], label=name)
            drawn = True
    axes.set(xlabel="minutes")
    axes.set_ylim(bottom=0)
    if drawn:
        axes.legend(frameon=False)
    return drawn
