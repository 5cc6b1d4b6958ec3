"""`captions watch`: a room's captions in the terminal, as they come."""

from __future__ import annotations

import argparse
import asyncio
from datetime import datetime

from rich.console import Console
from rich.markup import escape

from captions.cli.terminal import CaptionView
from captions.client import ConnectError, watch
from captions.doors.native.messages import Missed

__all__ = ["add_to", "follow"]

LOCAL = "ws://127.0.0.1:8080"
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 8.0


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "watch",
        help="read a room's captions",
        description="The captions of a room: what was said lately, then what is said. Ctrl-C ends it.",
    )
    parser.add_argument("room", metavar="ROOM")
    parser.add_argument("--url", default=LOCAL, help=f"the server, ws://host:port (default: {LOCAL})")
    parser.add_argument("--key", help="a key or token that may watch the room")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    asyncio.run(follow(arguments.url, arguments.room, arguments.key))
    return 0


async def follow(url: str, room: str, key: str | None) -> None:
    """Show a room's captions until cancelled; a lost connection is told, and made anew.

    Raises:
        ConnectError: the server cannot be reached at first, or will not have us.
    """
    console = Console()
    since: str | None = None
    been_there, tries = False, 0
    with CaptionView(console, when=_time_of_day) as view:
        while True:
            try:
                async with watch(url, room, key, since=since) as captions:
                    been_there, tries = True, 0
                    async for caption in captions:
                        if isinstance(caption, Missed):
                            console.print("[italic yellow]some of what was said meanwhile is not kept any more[/]")
                            continue
                        since = caption.position or since
                        view.show(caption)
            except ConnectError:
                if not been_there:
                    raise
            view.interrupt()
            console.print(f"[yellow]connection to {escape(url)} lost; trying again ...[/]")
            await asyncio.sleep(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**tries))
            tries += 1


def _time_of_day(said_at: float) -> str:
    return f"{datetime.fromtimestamp(said_at):%H:%M:%S} "
