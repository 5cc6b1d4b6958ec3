"""`bench browser`: what captions cost and how steady they are in a real Chromium; one line a figure."""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict
from pathlib import Path

from bench.browser.chromium import MISSING, chromium, chromium_path
from bench.browser.measures import Memory, Pixels, Steadiness, Weight, memory, pixels, steadiness, weight
from bench.report.console import console
from bench.servers.room_server import RoomServer
from captions.cli.errors import CommandError

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("browser", description=__doc__)
    parser.add_argument("--talk-s", type=float, default=60.0, help="seconds of four people talking (default: 60)")
    parser.add_argument("--meeting-minutes", type=float, default=10.0, help="for layout shift (default: 10)")
    parser.add_argument("--talk-minutes", type=float, default=60.0, help="for memory (default: 60)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if chromium_path() is None:
        raise CommandError(MISSING)
    figures = asyncio.run(_measure(arguments))
    if arguments.json is not None:
        text = json.dumps({name: asdict(figure) for name, figure in figures.items()}, indent=2)
        arguments.json.write_text(text + "\n", encoding="utf-8")
    return 0


async def _measure(arguments: argparse.Namespace) -> dict[str, Pixels | Steadiness | Memory | Weight]:
    figures: dict[str, Pixels | Steadiness | Memory | Weight] = {}
    async with RoomServer() as server, chromium() as browser:
        await pixels(browser, server, 2.0)
        for name, measuring in (
            ("pixels", lambda: pixels(browser, server, arguments.talk_s)),
            ("steadiness", lambda: steadiness(browser, server, arguments.meeting_minutes)),
            ("memory_page", lambda: memory(browser, server, arguments.talk_minutes)),
            ("memory_overlay", lambda: memory(browser, server, arguments.talk_minutes, path="/overlay")),
            ("weight", lambda: weight(browser, server)),
        ):
            figures[name] = await measuring()
            console.print(str(figures[name]), soft_wrap=True)
    return figures
