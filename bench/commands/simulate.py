"""`bench simulate`: how many people a batch of lanes captions, by the real scheduler in virtual time.

Prints participants per lane against the wait for a lane, and finds by bisection how many participants are held.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.measure.capacity import search
from bench.virtual.simulation import Measured, Setting, simulate

__all__ = ["add_to"]

_MOST_ROOMS = 1 << 16


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("simulate", description=__doc__)
    parser.add_argument("--lanes", type=int, default=64)
    parser.add_argument("--step-ms", type=float, default=27.0)
    parser.add_argument("--people", type=int, default=10, help="in each room (default 10)")
    parser.add_argument("--rooms", type=int, nargs="+", help="measure these numbers of rooms instead of bisecting")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--flush-frames", type=int, default=7)
    parser.add_argument(
        "--hangover-s", type=float, default=0.8, help="silence that ends a spurt (default 0.8, Kyutai's)"
    )
    parser.add_argument("--target-ms", type=float, default=100.0, help="p95 lane wait that is held (default 100)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="PNG or SVG, by the name's end")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    setting = Setting(
        lanes=arguments.lanes,
        step_s=arguments.step_ms / 1_000,
        people=arguments.people,
        duration_s=arguments.minutes * 60,
        seed=arguments.seed,
        flush_frames=arguments.flush_frames,
        hangover_s=arguments.hangover_s,
    )
    if arguments.rooms:
        trials = [simulate(count, setting) for count in arguments.rooms]
    else:
        trials = _search(setting, arguments.target_ms)
    for line in _table(trials, arguments.target_ms):
        print(line)
    held = max((t.participants for t in trials if t.lane_wait_p95_ms <= arguments.target_ms), default=0)
    print(
        f"held: {held} participants in meetings of {setting.people} on {setting.lanes} lanes, "
        f"{arguments.step_ms:g} ms a step, p95 lane wait <= {arguments.target_ms:g} ms "
        f"({held / setting.lanes:.1f} a lane; a server that gives each its own lane: {setting.lanes})"
    )
    if arguments.json is not None:
        result = {"setting": asdict(setting), "target_ms": arguments.target_ms, "held": held}
        result["trials"] = [asdict(trial) for trial in trials]
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if arguments.plot is not None:
        _draw(trials, setting, arguments.target_ms, held, arguments.plot)
    return 0


def _search(setting: Setting, target_ms: float) -> list[Measured]:
    """Every trial on the way to the most rooms with p95 lane wait within `target_ms`, by size."""
    trials: dict[int, Measured] = {}

    def held(rooms: int) -> bool:
        trials[rooms] = simulate(rooms, setting)
        return trials[rooms].lane_wait_p95_ms <= target_ms

    search(held, max(1, 6 * setting.lanes // setting.people), _MOST_ROOMS, resolution=0.0)
    return [trials[rooms] for rooms in sorted(trials)]


def _table(trials: Sequence[Measured], target_ms: float) -> Iterator[str]:
    yield "participants  a lane  lane wait p50   p95   p99 ms  caught up p50   p95 ms   kept   busy  dropped"
    for t in trials:
        yield (
            f"{t.participants:12d}  {t.participants_per_lane:6.2f}"
            f"  {t.lane_wait_p50_ms:13.0f} {t.lane_wait_p95_ms:5.0f} {t.lane_wait_p99_ms:8.0f}"
            f"  {t.caught_up_p50_ms:13.0f} {t.caught_up_p95_ms:8.0f}"
            f"  {t.kept:5.1%}  {t.busy:5.1%}  {t.dropped_s:5.1f} s{'' if t.lane_wait_p95_ms <= target_ms else '  over'}"
        )


def _draw(trials: Sequence[Measured], setting: Setting, target_ms: float, held: int, path: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lanes", "font.size": 9, "font.family": "sans-serif"})
    canvas = Figure(figsize=(5.4, 2.9), layout="constrained")
    axes = canvas.subplots()
    ratio = [trial.participants_per_lane for trial in trials]
    for name, colour in (("p99", "#8a6fb0"), ("p95", "#1f6fb4"), ("p50", "#3a9d5d")):
        axes.plot(ratio, [getattr(t, f"lane_wait_{name}_ms") for t in trials], ".-", color=colour, label=name)
    axes.axhline(target_ms, linestyle="--", linewidth=1, color="#5b6770")
    axes.axvline(held / setting.lanes, linestyle=":", linewidth=1, color="#5b6770")
    axes.annotate(f" {held} participants held", (held / setting.lanes, 3))
    axes.set(
        xlabel=f"participants per lane ({setting.lanes} lanes, {setting.people} in a room)", ylabel="lane wait, ms"
    )
    axes.set_yscale("symlog", linthresh=10)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="upper left")
    metadata = {"Date": None} if path.suffix == ".svg" else None
    canvas.savefig(path, metadata=metadata)
