"""`bench latency`: one clip through a server in real time, every figure of docs/benchmarks.md."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.commands.servers import add_server_options, add_wire_options, settings_of, target_of
from bench.load.clips import Clip, read_pcm, two_cities
from bench.load.voices import STAGGER_S, voice_of
from bench.measure.events import write_logs
from bench.measure.session import run_pass, to_run
from bench.report.console import finish, progress, show
from bench.report.results import Result
from bench.truth.words import read_truth
from captions.cli.errors import CommandError

__all__ = ["add_clip_options", "add_to", "clip_of"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "latency",
        description="Send real speech whose word times are known to a server, in real time, and compute every figure "
        "of docs/benchmarks.md from what came back: word latency and its parts, first partial, time to final segment, "
        "erasure, word error rate, word-time and speech-boundary errors, processor time.",
    )
    add_server_options(parser)
    add_wire_options(parser)
    add_clip_options(parser)
    parser.add_argument("--seconds", type=float, help="only so much of the clip")
    parser.add_argument(
        "--warm-up", type=float, default=2.0, metavar="S", help="leave out the first words (default: 2 s)"
    )
    parser.add_argument("--tracks", type=int, default=1, help="the same clip on several tracks at once (default: 1)")
    parser.add_argument("--events", type=Path, metavar="FILE", help="keep what was observed, for `bench score`")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    clip = clip_of(arguments, arguments.seconds)
    voices = [voice_of(clip, STAGGER_S * (number % 4)) for number in range(arguments.tracks)]
    with target_of(arguments) as (target, server), progress(f"{clip.name} in real time", clip.duration_s) as tick:
        done = run_pass(target, voices, server, arguments.warm_up, tick=tick)
    if arguments.events is not None:
        write_logs(arguments.events, done.logs)
    measured = to_run(clip.name, done)
    show(measured)
    settings = settings_of(arguments) | {"truth": clip.truth.made}
    return finish(Result("latency", f"Latency on {clip.name}", settings, [measured]))


def add_clip_options(parser: argparse.ArgumentParser) -> None:
    """Speech of one's own, for every command that sends a clip."""
    parser.add_argument("--audio", type=Path, metavar="FILE", help="any audio file (default: two_cities.wav)")
    parser.add_argument("--truth", type=Path, metavar="JSON", help="its gold words, as `bench truth` makes them")


def clip_of(arguments: argparse.Namespace, seconds: float | None = None) -> Clip:
    """The clip that the options of `add_clip_options` mean, or its first `seconds`.

    Raises:
        CommandError, OSError, msgspec.DecodeError: a file is at fault, or one of the two is missing.
    """
    audio, truth = arguments.audio, arguments.truth
    if (audio is None) != (truth is None):
        raise CommandError("--audio and --truth go together: `bench truth` makes the words of a recording")
    clip = two_cities() if audio is None else Clip(audio.stem, read_pcm(audio), read_truth(truth))
    return clip if seconds is None else clip.cut(0.0, min(seconds, clip.duration_s))
