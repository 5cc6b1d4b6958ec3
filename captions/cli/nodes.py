"""`captions nodes`: the nodes of a cluster, as a table that lives."""

from __future__ import annotations

import argparse
import json
import time
import urllib.error
import urllib.request

from msgspec import DecodeError
from msgspec.json import Decoder
from rich.console import Console
from rich.live import Live
from rich.table import Table

from captions.cli.errors import CommandError
from captions.cluster.node import Node

__all__ = ["add_to", "table"]

_PATIENCE_S = 5.0
_decoder = Decoder(list[Node])


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "nodes", help="the nodes of a cluster", description="Show the nodes of a cluster, the emptiest first."
    )
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="any of them (default: http://127.0.0.1:8080)")
    parser.add_argument("--key", help="a publish key that is good for all rooms")
    parser.add_argument("--once", action="store_true", help="show them once, and end")
    parser.add_argument("--json", action="store_true", help="print them once, as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    url = arguments.url.replace("ws", "http", 1) if arguments.url.startswith("ws") else arguments.url
    told = _ask(url, arguments.key)
    if arguments.json:
        print(json.dumps(json.loads(told), indent=2))
        return 0
    console = Console()
    if arguments.once:
        console.print(table(_read(told), time.time()))
        return 0
    with Live(table(_read(told), time.time()), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(1.0)
            live.update(table(_read(_ask(url, arguments.key)), time.time()), refresh=True)


def table(nodes: list[Node], now: float) -> Table:
    """`now`: in seconds since 1970."""
    shown = Table(title=f"{len(nodes)} nodes", title_justify="left")
    for name in ("node", "address", "role", "model", "full", "tracks", "watchers", "up for", "version", ""):
        shown.add_column(name, justify="right" if name in ("full", "tracks", "watchers", "up for") else "left")
    for node in nodes:
        shown.add_row(
            node.id,
            node.address,
            node.role,
            node.model,
            f"{node.fullness:.0%}",
            str(node.tracks),
            str(node.watchers),
            _length(now - node.started_at),
            node.version,
            "draining" if node.draining else "",
        )
    return shown


def _ask(url: str, key: str | None) -> bytes:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(f"{url.rstrip('/')}/v1/nodes", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        raise CommandError(f"{url}: {error.code} {error.read(200).decode(errors='replace')}") from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{url}: {error}") from None


def _read(told: bytes) -> list[Node]:
    try:
        return _decoder.decode(told)
    except DecodeError as error:
        raise CommandError(f"no list of nodes: {error}") from None


def _length(seconds: float) -> str:
    minutes, seconds = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"
