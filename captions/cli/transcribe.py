"""`captions transcribe`: files through a server, as text, JSON, SRT or WebVTT."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from uuid import uuid4

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from captions.cli.audio_file import blocks, duration_s
from captions.cli.errors import CommandError
from captions.cli.own_server import server_at
from captions.client import Client
from captions.doors.native.messages import Error, Segment, Stopped
from captions.rooms.subtitles import Format, SubtitleFile
from captions.types import SAMPLE_RATE

__all__ = ["add_to", "transcribe"]

BLOCK_SAMPLES = SAMPLE_RATE // 10
TRACK = "file"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "transcribe",
        help="transcribe audio files",
        description="Transcribe audio of any kind (wav, mp3, flac, ogg, webm, m4a ...) through a captions server.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--speed", type=float, default=0.0, help="1 is real time; 0, the default, as fast as it goes")
    parser.add_argument("--format", choices=["text", "json", "srt", "vtt"], default="text", help="default: text")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="write FILE.txt, .json, .srt or .vtt there")
    parser.add_argument("--room", help="a room whose readers see the captions, too (default: nobody does)")
    parser.add_argument("--url", help="a running server, ws://host:port (default: start one for this)")
    parser.add_argument("--key", help="the server's publish key")
    parser.add_argument("--model", help="the model of the server to start")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.speed < 0:
        raise CommandError("--speed: 0 or more")
    for path in arguments.files:
        if not path.is_file():
            raise CommandError(f"{path}: no such file")
    asyncio.run(_run(arguments))
    return 0


async def _run(arguments: argparse.Namespace) -> None:
    form: Format = arguments.format
    # The bar would stand in the middle of captions that go to the same terminal.
    quiet = arguments.output is None and sys.stdout.isatty()
    bars = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*bars, console=console, transient=True, redirect_stdout=False, disable=quiet) as progress:
        async with server_at(arguments.url, arguments.model) as url:
            for path in arguments.files:
                bar = progress.add_task(path.name, total=duration_s(path))
                with _opened(path, form, arguments.output) as written:
                    file = SubtitleFile(form)
                    try:
                        async for segment in transcribe(url, path, arguments):
                            progress.update(bar, completed=segment.end)
                            written.write(file.add(segment))
                            written.flush()
                    finally:
                        written.write(file.end())


async def transcribe(url: str, path: Path, arguments: argparse.Namespace) -> AsyncIterator[Segment]:
    """The final segments of one file, in order, as they come.

    Raises:
        CommandError: the file or the server is at fault.
    """
    async with Client(url, arguments.key, reconnect_s=0.0) as client:  # better an error than a hole
        room = arguments.room or f"transcribe-{uuid4().hex}"
        await client.start(room, TRACK, "pcm_f32le", SAMPLE_RATE, live=False)
        sending = asyncio.create_task(_send(client, path, arguments.speed))
        try:
            async for message in client:
                match message:
                    case Segment(final=True) if message.words:
                        yield message
                    case Error():
                        raise CommandError(f"{path}: {message.message}")
                    case Stopped():
                        return
                if sending.done():
                    await sending
        finally:
            sending.cancel()
    raise CommandError(f"{path}: the server closed the connection")


async def _send(client: Client, path: Path, speed: float) -> None:
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    sent_samples = 0
    for block in blocks(path, BLOCK_SAMPLES):
        await client.audio(TRACK, block.astype("<f4").tobytes())
        sent_samples += BLOCK_SAMPLES
        if speed > 0:
            await asyncio.sleep(began_at + sent_samples / SAMPLE_RATE / speed - loop.time())
    await client.stop(TRACK)


@contextmanager
def _opened(path: Path, form: Format, folder: Path | None) -> Iterator[TextIO]:
    """Where the captions of one audio file go."""
    if folder is None:
        yield sys.stdout
        return
    folder.mkdir(parents=True, exist_ok=True)
    suffix = "txt" if form == "text" else form
    with (folder / f"{path.name}.{suffix}").open("w", encoding="utf-8") as file:
        yield file
