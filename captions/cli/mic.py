"""`captions mic`: live captions of what the microphone hears, in the terminal."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from typing import Any

from rich.console import Console

from captions.cli.errors import CommandError
from captions.cli.own_server import server_at
from captions.cli.terminal import CaptionView
from captions.client import Client
from captions.doors.native.messages import Error, Participant, Segment
from captions.types import SAMPLE_RATE

__all__ = ["add_to", "caption"]

BLOCK_SAMPLES = SAMPLE_RATE // 50
TRACK = "mic"
_NO_PORTAUDIO = "the microphone needs PortAudio: on Debian or Ubuntu, apt-get install libportaudio2"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "mic", help="caption the microphone", description="Live captions of what the microphone hears. Ctrl-C ends it."
    )
    parser.add_argument("--device", help="input device, by number or part of its name (default: the system's)")
    parser.add_argument("--room", default="mic", help="whose readers see the captions, too (default: mic)")
    parser.add_argument("--name", default="", help="your name, as they read it")
    parser.add_argument("--url", help="a running server, ws://host:port (default: start one for this)")
    parser.add_argument("--key", help="the server's publish key")
    parser.add_argument("--model", help="the model of the server to start")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    asyncio.run(caption(arguments))
    return 0


async def caption(
    arguments: argparse.Namespace, open_microphone: Callable[[str | None, Any], Any] | None = None
) -> None:
    """Show what a microphone hears until cancelled; `open_microphone` opens another one than the system's."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    def hear(data: Any, frames: int, time: Any, status: Any) -> None:
        del frames, time, status
        loop.call_soon_threadsafe(heard.put_nowait, bytes(data))

    with (open_microphone or _microphone)(arguments.device, hear):
        async with server_at(arguments.url, arguments.model) as url, Client(url, arguments.key) as client:
            who = Participant(TRACK, arguments.name)
            await client.start(arguments.room, TRACK, "pcm_s16le", SAMPLE_RATE, participant=who)
            while not heard.empty():
                heard.get_nowait()
            sending = asyncio.create_task(_send(client, heard))
            try:
                with CaptionView(Console()) as view:
                    async for message in client:
                        if isinstance(message, Segment):
                            view.show(message)
                        elif isinstance(message, Error):
                            raise CommandError(message.message)
            finally:
                sending.cancel()


async def _send(client: Client, heard: asyncio.Queue[bytes]) -> None:
    while True:
        await client.audio(TRACK, await heard.get())


def _microphone(device: str | None, hear: Any) -> Any:
    """An open input stream, 20 ms of mono 16-bit samples a call.

    Raises:
        CommandError: PortAudio or a microphone is missing.
    """
    try:
        import sounddevice
    except OSError:
        raise CommandError(_NO_PORTAUDIO) from None
    try:
        return sounddevice.RawInputStream(
            samplerate=SAMPLE_RATE,
            blocksize=BLOCK_SAMPLES,
            channels=1,
            dtype="int16",
            device=int(device) if device is not None and device.isdigit() else device,
            callback=hear,
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise CommandError(f"no microphone can be opened ({error}); plug one in, or name one with --device") from None
