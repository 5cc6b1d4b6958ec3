"""`bench screenshots FOLDER`: the pictures of README.md, of a real server that hears the page's sample."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from bench.browser.chromium import MISSING, chromium, chromium_path
from bench.browser.screenshots import take
from captions.cli.errors import CommandError
from captions.cli.own_server import server_at

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("screenshots", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if chromium_path() is None:
        raise CommandError(MISSING)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_take(arguments.folder))
    return 0


async def _take(folder: Path) -> None:
    async with server_at(None, "moonshine") as url, chromium() as browser:
        await take(url.replace("ws", "http", 1), browser, folder)
