"""`bench doors`: the same speech through every door, by its protocol and by its real clients; one table."""

from __future__ import annotations

import argparse
import asyncio
import importlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

from rich.table import Table

from bench.commands.latency import add_clip_options, clip_of
from bench.load.clips import Clip
from bench.load.sender import Target
from bench.load.voices import voice_of
from bench.measure.events import TrackLog
from bench.measure.intervals import Figure, exact
from bench.measure.metrics import figures, measure
from bench.measure.process import main_thread_cpu_s
from bench.measure.session import run_pass, to_run
from bench.protocols import ProtocolName
from bench.report.console import console, finish, progress
from bench.report.names import reading
from bench.report.results import Result, Run
from bench.servers.own_server import OwnServer, own_server

__all__ = ["DOORS", "Door", "add_to"]


@dataclass(frozen=True, slots=True)
class Door:
    """`protocol`: spoken by the harness itself. `client`: else the module and function of a real one."""

    name: str
    protocol: ProtocolName = "native"
    client: tuple[str, str] | None = None


DOORS = (
    Door("native, Opus"),
    Door("captions.livekit", client=("livekit_plugins", "through_captions_plugin")),
    Door("RTP", "rtp"),
    Door("Jitsi", "jitsi"),
    Door("Track Egress", "egress"),
    Door("Vosk", "vosk"),
    Door("Kyutai", "kyutai"),
    Door("Kyutai, La Suite's plugin", client=("livekit_plugins", "through_kyutai_plugin")),
    Door("Deepgram", "deepgram"),
    Door("Deepgram, deepgram-sdk", client=("sdks", "through_deepgram_sdk")),
    Door("Deepgram, LiveKit's plugin", client=("livekit_plugins", "through_deepgram_plugin")),
    Door("Gladia", "gladia"),
    Door("Gladia, gladiaio-sdk", client=("sdks", "through_gladia_sdk")),
    Door("Gladia, LiveKit's plugin", client=("livekit_plugins", "through_gladia_plugin")),
    Door("OpenAI", "openai"),
    Door("OpenAI, openai", client=("sdks", "through_openai_sdk")),
    Door("OpenAI, LiveKit's plugin", client=("livekit_plugins", "through_openai_plugin")),
)
"""The native door is the first: the others are compared with it."""

_WARM_UP_S = 4.0
"""Of speech before the first door: a server's first words cost more."""
_ENDS_WITHIN_S = 60.0
"""After the clip: a client that waits for what never comes fails then."""
_SHOWN = ("wer", "first_partial_p50", "word_latency_p50", "cpu", "loop_cpu")
_COLUMNS = ("WER", "first text", "word latency", "server CPU", "event loop")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "doors",
        description="A clip in real time through each door of our server, one after another: word error rate, first "
        "text of a spurt and word latency (medians), and the processor time that the server took for a second of the "
        "track, its event loop apart: there the doors differ, hearing and model cost the same at each.",
    )
    parser.add_argument("--only", metavar="WORD", default="", help="doors whose name has it, and the native one")
    parser.add_argument("--model", default="auto", help="of the server (default: auto)")
    parser.add_argument("--seconds", type=float, help="only so much of the clip, up to a pause")
    add_clip_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    clip = clip_of(arguments)
    if arguments.seconds is not None:
        clip = clip.cut(0.0, _pause_before(clip, arguments.seconds))
    chosen = [door for door in DOORS if door is DOORS[0] or arguments.only.lower() in door.name.lower()]
    runs = []
    with own_server(arguments.model, settings={"rtp": {"listen": "127.0.0.1:0"}}) as server:
        run_pass(Target(server.url), [voice_of(clip.cut(0.0, min(_WARM_UP_S, clip.duration_s)))])
        for door in chosen:
            with progress(door.name, clip.duration_s) as tick:
                runs.append(_measured(door, server, clip, tick))
            told = ", ".join(reading(runs[-1].figures[name]) for name in _SHOWN if name in runs[-1].figures)
            console.print(f"{door.name}: {told}")
    console.print(_table(runs))
    settings = {"audio": f"{clip.name}, {clip.duration_s:.1f} s", "model": server.model, "truth": clip.truth.made}
    return finish(Result("doors", f"{clip.name} through every door", settings, runs))


def _pause_before(clip: Clip, seconds: float) -> float:
    """The middle of the last pause: what is left of a word is heard at one door and not at another."""
    words, spurts = clip.truth.words, clip.truth.spurts()
    pauses = ((words[one.last].end + words[other.first].start) / 2 for one, other in pairwise(spurts))
    return max((pause for pause in pauses if pause <= seconds), default=seconds)


def _measured(door: Door, server: OwnServer, clip: Clip, tick: Callable[[float], None]) -> Run:
    before, loop_before = server.cpu_s(), main_thread_cpu_s(server.pid)
    if door.client is None:
        done = run_pass(Target(server.url, door.protocol), [voice_of(clip)], tick=tick)
        found, notes = to_run(door.name, done).figures, to_run(door.name, done).notes
    else:
        heard = _function(*door.client)(server.url, clip)
        log = asyncio.run(asyncio.wait_for(heard, clip.duration_s + _ENDS_WITHIN_S))
        found, notes = figures(measure(log, clip.truth)), []
    costs: dict[str, Figure] = {
        "cpu": exact((server.cpu_s() - before) / clip.duration_s * 1_000, "ms/s"),
        "loop_cpu": exact((main_thread_cpu_s(server.pid) - loop_before) / clip.duration_s * 1_000, "ms/s"),
    }
    return Run(door.name, found | costs, notes=notes)


def _function(module: str, name: str) -> Callable[[str, Clip], Coroutine[Any, Any, TrackLog]]:
    """A real client's, imported only where it is measured: each is a package of its own."""
    return cast(
        "Callable[[str, Clip], Coroutine[Any, Any, TrackLog]]",
        getattr(importlib.import_module(f"bench.clients.{module}"), name),
    )


def _table(runs: list[Run]) -> Table:
    table = Table(title="the same speech through every door (and how far from the native one)", title_justify="left")
    table.add_column("door", no_wrap=True)
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    native = runs[0].figures
    for run in runs:
        table.add_row(run.name, *(_cell(name, run.figures.get(name), native.get(name)) for name in _SHOWN))
    return table


def _cell(name: str, mine: Figure | None, natives: Figure | None) -> str:
    """A figure, and for those that must be near the native door's how far off it is."""
    if mine is None:
        return "-"
    if natives is None or mine is natives or name not in ("wer", "first_partial_p50"):
        return reading(mine)
    off = (mine.value - natives.value) * (100 if name == "wer" else 1)
    return f"{reading(mine)} ({off:+.1f})" if name == "wer" else f"{reading(mine)} ({off:+,.0f})"
