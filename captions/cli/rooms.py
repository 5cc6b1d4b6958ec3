"""`captions rooms`: the rooms of a running server, who reads in them and who speaks."""

from __future__ import annotations

import argparse
import urllib.error
import urllib.request

from msgspec import DecodeError, Struct, json
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from captions.cli.errors import CommandError
from captions.cli.watch import LOCAL

__all__ = ["add_to"]

_PATIENCE_S = 10.0


class _Room(Struct):
    """See `RoomCensus`."""

    name: str
    watchers: int
    speaking: int
    idle_s: float


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "rooms", help="list a server's rooms", description="The rooms of a running server, the liveliest first."
    )
    parser.add_argument("--url", default=LOCAL, help=f"the server, ws://host:port (default: {LOCAL})")
    parser.add_argument("--key", help="a key that may publish; only rooms that it is good for are listed")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    rooms = _fetch(arguments.url, arguments.key)
    if not rooms:
        print("no rooms: nobody speaks or watches")
        return 0
    table = Table("room", "watching", "speaking", "quiet for", box=box.SIMPLE)
    for room in sorted(rooms, key=lambda room: (-room.speaking, room.idle_s)):
        table.add_row(escape(room.name), str(room.watchers), str(room.speaking), f"{room.idle_s:.0f} s")
    Console().print(table)
    return 0


def _fetch(url: str, key: str | None) -> list[_Room]:
    address = url.replace("ws", "http", 1).rstrip("/") + "/v1/rooms"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {key}"} if key else {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_PATIENCE_S) as answer:
            return json.decode(answer.read(), type=list[_Room])
    except urllib.error.HTTPError as error:
        raise CommandError(f"{address}: {error.code} {error.read(200).decode(errors='replace')}") from None
    except (OSError, ValueError, DecodeError) as error:
        raise CommandError(f"{address}: {error}") from None
