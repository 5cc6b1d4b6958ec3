"""`bench compare`: our server and a peer in turn, same audio, same machine, same harness; the ratios."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from pathlib import Path

from rich.table import Table

from bench.commands.latency import add_clip_options, clip_of
from bench.load.clips import AudioFormat, Clip
from bench.load.sender import Target
from bench.load.voices import voice_of
from bench.measure.intervals import Figure, exact
from bench.measure.session import run_pass, to_run
from bench.protocols import PROTOCOLS
from bench.report.console import console, finish, progress
from bench.report.names import reading, title
from bench.report.results import Result, Run
from bench.servers.free_port import free_port
from bench.servers.own_server import PeerServer, own_server, peer_server

__all__ = ["COMPARED", "add_to", "ratios"]

COMPARED = (
    "word_latency_p50",
    "word_latency_p95",
    "shown_latency_p50",
    "first_partial_p50",
    "ttfs_p50",
    "last_words",
    "done_after_end",
    "erasure",
    "upwr",
    "wer",
    "server_cpu",
    "server_memory",
)
_WIRE = AudioFormat("pcm_s16le", 16_000)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "compare",
        description="Start a peer by its command, then our server; stream the same clip to each in real time, as "
        "16 kHz PCM, after a few seconds to warm up; print each figure and the ratio.",
    )
    parser.add_argument("--peer", required=True, metavar="COMMAND", help="starts it; {port} becomes a free port")
    parser.add_argument("--peer-protocol", choices=PROTOCOLS, required=True)
    parser.add_argument("--peer-name", default="peer", help="what to call it")
    parser.add_argument("--peer-key", help="its API key")
    parser.add_argument("--language", default="en")
    parser.add_argument("--model", default="auto", help="of our server")
    add_clip_options(parser)
    parser.add_argument("--seconds", type=float, help="only so much of the clip")
    parser.add_argument("--warm-up", type=float, default=6.0, metavar="S", help="of speech sent before, not measured")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    clip = clip_of(arguments, arguments.seconds)
    port = free_port()
    peer = peer_server(arguments.peer.replace("{port}", str(port)), port)
    theirs = Target("", arguments.peer_protocol, arguments.peer_key, _WIRE, arguments.language)
    with console.status("starting the peer"):
        its_run = _measure(arguments.peer_name, peer, theirs, clip, arguments.warm_up)
    our_run = _measure(
        "ours",
        own_server(arguments.model),
        Target("", audio_format=_WIRE),
        clip,
        arguments.warm_up,
    )
    console.print(_table(its_run, our_run))
    compared = ratios(our_run, its_run)
    settings = {
        "peer": arguments.peer_name,
        "protocol": arguments.peer_protocol,
        "model": Path(arguments.model).name,
        "audio": f"{clip.name}, {clip.duration_s:.1f} s, 16 kHz PCM",
        "truth": clip.truth.made,
    }
    return finish(
        Result("compare", f"Ours against {arguments.peer_name} on {clip.name}", settings, [our_run, its_run, compared])
    )


def _measure(
    name: str, starting: AbstractContextManager[PeerServer], target: Target, clip: Clip, warm_up_s: float
) -> Run:
    with starting as server:
        aimed = Target(server.url, target.protocol, target.key, target.audio_format, target.language)
        if warm_up_s > 0:
            run_pass(aimed, [voice_of(clip.cut(0.0, warm_up_s))])
        with progress(f"{clip.name} through {name}", clip.duration_s) as tick:
            return to_run(name, run_pass(aimed, [voice_of(clip)], server, tick=tick))


def ratios(ours: Run, theirs: Run) -> Run:
    """Ours over theirs, of each compared figure both have; word error rates as a difference, in points."""
    figures: dict[str, Figure] = {}
    for name in COMPARED:
        if name not in ours.figures or name not in theirs.figures:
            continue
        mine, other = ours.figures[name].value, theirs.figures[name].value
        if name == "wer":
            figures[name] = exact((mine - other) * 100, "points")
        elif other > 0:
            figures[name] = exact(mine / other, "×")
    return Run("ours over theirs", figures)


def _table(theirs: Run, ours: Run) -> Table:
    table = Table(title=f"ours against {theirs.name}", title_justify="left")
    for heading in ("figure", theirs.name, "ours", "ours over theirs"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    compared = ratios(ours, theirs).figures
    for name in COMPARED:
        pair = [run.figures.get(name) for run in (theirs, ours)]
        cells = ["-" if figure is None else reading(figure) for figure in (*pair, compared.get(name))]
        table.add_row(title(name), *cells)
    return table
