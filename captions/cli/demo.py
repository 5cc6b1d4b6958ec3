"""`captions demo`: real speech through a real server in real time, captions in the terminal, figures at the end."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from captions.cli.audio_file import blocks
from captions.cli.errors import CommandError
from captions.cli.own_server import server_at
from captions.cli.tally import Tally
from captions.cli.terminal import CaptionView
from captions.client import Client
from captions.doors.native.messages import Error, Participant, Segment, Stopped
from captions.stream.opus import OPUS_CLOCK, OpusEncoder

__all__ = ["TWO_CITIES", "add_to", "clip"]

PACKET_S = 0.02
ROOM = "demo"
TRACK = "dickens"

TWO_CITIES = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, "
    "it was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of "
    "Darkness, it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing "
    "before us, we were all going direct to Heaven, we were all going direct the other way, in short, the period was "
    "so far like the present period, that some of its noisiest authorities insisted on its being received, for good "
    "or for evil, in the superlative degree of comparison only."
)
"""What two_cities.wav of the package moonshine-voice says (Charles Dickens, A Tale of Two Cities, 1859)."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "demo",
        help="see it work",
        description="Stream 44 seconds of Dickens through a server in real time, as Opus, and show the captions.",
    )
    parser.add_argument("--url", help="a running server, ws://host:port (default: start one for this)")
    parser.add_argument("--key", help="the server's publish key")
    parser.add_argument("--model", help="the model of the server to start")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    console = Console()
    tally = Tally(TWO_CITIES)
    console.print("[dim]starting a server ...[/]" if arguments.url is None else f"[dim]{arguments.url}[/]")
    async with server_at(arguments.url, arguments.model) as url, Client(url, arguments.key) as client:
        page = url.replace("ws", "http", 1)
        console.print(f"[dim]the same in a browser: {page}/overlay?room={ROOM}[/]")
        console.print("[dim]A Tale of Two Cities, in real time, 20 ms Opus packets; tentative words are dim[/]\n")
        reader = Participant(id=TRACK, name="Reader")
        await client.start(ROOM, TRACK, "opus", OPUS_CLOCK, participant=reader)
        sending = asyncio.create_task(_send(client))
        loop = asyncio.get_running_loop()
        with CaptionView(console) as view:
            async for message in client:
                if isinstance(message, Segment):
                    view.show(message)
                    tally.add(message)
                elif isinstance(message, Error):
                    raise CommandError(message.message)
                elif isinstance(message, Stopped):
                    break
        tally.last_words_after_end_s = loop.time() - await sending
    console.print(_summary(tally))
    if arguments.json is not None:
        arguments.json.write_text(tally.json(), encoding="utf-8")
    return 0


async def _send(client: Client) -> float:
    """Stream the clip in real time; when its last packet left, by the loop's clock."""
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    for number, packet in enumerate(_packets()):
        await asyncio.sleep(began_at + number * PACKET_S - loop.time())
        await client.audio(TRACK, packet)
    ended_at = loop.time()
    await client.stop(TRACK)
    return ended_at


def _packets() -> Iterator[bytes]:
    encoder = OpusEncoder()
    for block in blocks(clip(), int(OPUS_CLOCK * PACKET_S), OPUS_CLOCK):
        yield encoder.encode(block)


def clip() -> Path:
    """The package's recording: 44 s at 48 kHz."""
    import moonshine_voice

    return Path(moonshine_voice.get_assets_path()) / "two_cities.wav"


def _summary(tally: Tally) -> Table:
    table = Table(title="Summary", title_justify="left", show_header=False)
    for name, figure in tally.figures().items():
        table.add_row(name, figure)
    return table
