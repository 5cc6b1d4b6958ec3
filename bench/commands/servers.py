"""The options that say which server is measured, and the server they mean."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.load.clips import AudioFormat
from bench.load.impair import Impairment
from bench.load.sender import Target
from bench.protocols import PROTOCOLS
from bench.servers.own_server import PeerServer, own_server
from captions.stream.codec import CodecName

__all__ = ["add_server_options", "add_wire_options", "settings_of", "target_of"]


def add_server_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="a running server, ws://host:port (default: start ours for this)")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="native", help="what it speaks (default: native)")
    parser.add_argument("--key", help="its API key")
    parser.add_argument("--language", default="en", help="of the speech (default: en)")
    parser.add_argument(
        "--model",
        default="auto",
        help="of the server to start: what `captions serve` takes, or speaking (default: auto)",
    )
    parser.add_argument("--lanes", type=int, default=0, help="of the server to start (default: what suits the model)")


def add_wire_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--codec", choices=("opus", "pcm_s16le", "pcm_f32le"), default="opus", help="native protocol only"
    )
    parser.add_argument("--loss", type=float, default=0.0, metavar="SHARE", help="share of packets lost, 0 to 1")
    parser.add_argument("--jitter-ms", type=float, default=0.0, metavar="MS", help="mean extra delay of a packet")
    parser.add_argument("--reorder", action="store_true", help="let delayed packets be overtaken")


@contextmanager
def target_of(arguments: argparse.Namespace) -> Iterator[tuple[Target, PeerServer | None]]:
    """Where to send, and the server itself where it was started for this.

    Raises:
        LoadError: it did not start.
    """
    codec: CodecName = getattr(arguments, "codec", "opus")
    impairment = Impairment(
        getattr(arguments, "loss", 0.0), getattr(arguments, "jitter_ms", 0.0), getattr(arguments, "reorder", False)
    )

    def target(url: str) -> Target:
        return Target(url, arguments.protocol, arguments.key, AudioFormat(codec), arguments.language, impairment)

    if arguments.url is not None:
        yield target(arguments.url), None
        return
    with own_server(arguments.model, arguments.lanes) as server:
        yield target(server.url), server


def settings_of(arguments: argparse.Namespace) -> dict[str, str]:
    """Every option as given, for the record; no key, no address and no folder."""
    hidden = {"run", "key", "url", "events", "command"}
    settings = {
        name: value.name if isinstance(value, Path) else str(value)
        for name, value in vars(arguments).items()
        if name not in hidden and value is not None
    }
    given = {"model": Path(arguments.model).name, "server": "started for this" if arguments.url is None else "given"}
    return settings | given
