"""A cluster at work: `make demo-cluster`, or `python -m bench demo-cluster`.

Redis, two speech nodes and a gateway, each in a process of its own; two readers talk into one room, each through
another node. In the middle one node is killed. The gateway's captions are shown, and at the end what it cost.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from rich.console import Console

from bench.servers.redis_server import redis_server
from captions.cli.audio_file import blocks
from captions.cli.demo import clip
from captions.cli.errors import CommandError
from captions.cli.terminal import CaptionView
from captions.client import Client, watch
from captions.doors.native.messages import GapNotice, Participant, Segment
from captions.stream.opus import OPUS_CLOCK, OpusEncoder

__all__ = ["add_to"]

ROOM = "demo"
PACKET_S = 0.02
_KNOWN_S = 2.0
_LAST_WORDS_S = 6.0


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("demo-cluster", description=__doc__)
    parser.add_argument("--seconds", type=float, default=36.0, help="of each reader's speech (default: 36)")
    parser.add_argument("--kill-after", type=float, default=15.0, help="seconds until a node is killed (default: 15)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    return asyncio.run(_demo(Console(), arguments.seconds, arguments.kill_after))


@dataclass(slots=True)
class _Reader:
    """Who reads, from which second of the recording on; when each of its words came."""

    name: str
    starts_s: float
    word_at: list[float] = field(default_factory=list)
    gap_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Node:
    process: asyncio.subprocess.Process
    url: str


async def _demo(console: Console, seconds: float, kill_after_s: float) -> int:
    readers = [_Reader("Charles", 0.0), _Reader("Ada", 20.0)]
    loop = asyncio.get_running_loop()
    newest: dict[str, Segment] = {}
    console.print("[dim]starting Redis, two speech nodes and a gateway ...[/]")
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server())
        speech = [await stack.enter_async_context(_node(redis.url, "speech")) for _ in readers]
        gateway = await stack.enter_async_context(_node(redis.url, "watch"))
        await asyncio.sleep(_KNOWN_S)
        console.print(f"[dim]{', '.join(node.url for node in speech)}, gateway {gateway.url}: captions from there[/]\n")
        captions = await stack.enter_async_context(watch(gateway.url, ROOM))
        reading = [
            asyncio.create_task(_read(node.url, reader, seconds)) for node, reader in zip(speech, readers, strict=True)
        ]
        with CaptionView(console) as view:

            async def show() -> None:
                async for caption in captions:
                    if isinstance(caption, Segment):
                        newest[caption.id] = caption
                        view.show(caption)

            showing = asyncio.create_task(show())
            await asyncio.sleep(kill_after_s)
            speech[0].process.kill()
            killed_at = loop.time()
            console.print(f"[bold red]{speech[0].url}, which heard {readers[0].name}, is killed[/]")
            await asyncio.gather(*reading)
            await asyncio.sleep(_LAST_WORDS_S)
            showing.cancel()
    again_s = min((at - killed_at for at in readers[0].word_at if at > killed_at), default=float("nan"))
    words = sum(len(segment.words) for segment in newest.values())
    segments = newest.values()
    console.print(
        f"\n{words} words in {len(segments)} segments, {sum(one.interrupted for one in segments)} of them interrupted, "
        f"{sum(not one.final for one in segments)} left open; {readers[0].name}'s next word came {again_s:.1f} s "
        f"after the node was killed, {readers[0].gap_s:.1f} s of speech told as lost"
    )
    return 0


async def _read(url: str, reader: _Reader, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    async with Client(url) as client:
        await client.start(ROOM, reader.name, "opus", OPUS_CLOCK, participant=Participant(reader.name, reader.name))
        listening = asyncio.create_task(_listen(client, reader))
        began_at = loop.time()
        for number, packet in enumerate(_packets(clip(), reader.starts_s, seconds)):
            await asyncio.sleep(began_at + number * PACKET_S - loop.time())
            await client.audio(reader.name, packet)
        await client.stop(reader.name)
        await asyncio.sleep(_LAST_WORDS_S / 2)
        listening.cancel()


async def _listen(client: Client, reader: _Reader) -> None:
    known: dict[str, int] = {}
    async for message in client:
        if isinstance(message, Segment) and len(message.words) > known.get(message.id, 0):
            known[message.id] = len(message.words)
            reader.word_at.append(asyncio.get_running_loop().time())
        elif isinstance(message, GapNotice):
            reader.gap_s += message.end - message.start


def _packets(file: Path, starts_s: float, seconds: float) -> list[bytes]:
    encoder = OpusEncoder()
    first = round(starts_s / PACKET_S)
    wanted = islice(blocks(file, int(OPUS_CLOCK * PACKET_S), OPUS_CLOCK), first, first + round(seconds / PACKET_S))
    return [encoder.encode(block) for block in wanted]


@asynccontextmanager
async def _node(redis_url: str, role: str) -> AsyncIterator[_Node]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "captions", "serve", "--port", "0", "--role", role, "--redis", redis_url),
        *("--model", "moonshine"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    said = (await process.stdout.readline()).decode()
    found = re.search(r"(?:ws|http)://([^/\s]+)", said)
    if found is None:
        raise CommandError(f"a node did not start: {said.strip()}")
    try:
        yield _Node(process, f"ws://{found[1]}")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
