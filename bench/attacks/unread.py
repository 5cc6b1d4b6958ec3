"""Answers that nobody reads: of plain HTTP, of sessions whose client is gone, of watchers who have fallen asleep."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

from bench.attacks.attack import WATCHER, Attack, Site, frames_of
from bench.load.raw_socket import frame, plain_socket
from captions.doors.native.messages import Ping, Start

__all__ = ["ATTACKS"]

_SAMPLES = 300
_BAD_MESSAGES = 600
_DETACHED = 150
_WATCHERS = 300


async def _samples(site: Site) -> None:
    """The largest file that anybody may have, asked for by three hundred who do not read it."""
    request = f"GET /overlay/two_cities.wav HTTP/1.1\r\nHost: {urlsplit(site.url).netloc}\r\n\r\n".encode()
    with ExitStack() as stack:
        for number in range(_SAMPLES):
            with suppress(OSError):
                one = await asyncio.to_thread(plain_socket, site.url, request, f"127.0.0.{2 + number % 5}")
                stack.callback(one.close)
        await site.until_over()


async def _bad_messages(site: Site) -> None:
    """Messages of a megabyte whose errors might repeat them."""
    bad = frame(b"\x82\xa4type\xa4stop\xa5track\xdb" + (1_000_000).to_bytes(4) + b"x" * 1_000_000)
    async with site.publisher(Start("attack", "t", "opus"), reads=False) as one:
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(max(0.0, site.ends_at - asyncio.get_running_loop().time())):
                for _ in range(_BAD_MESSAGES):
                    await one.send(bad)
        await site.until_over()


async def _detached_sessions(site: Site) -> None:
    """Sessions that are owed as much as is kept for them, whose clients are gone."""
    owed = frames_of(*(Ping("p" * 128, 1.0) for _ in range(2_000)))
    for _ in range(_DETACHED):
        if site.is_over:
            break
        with suppress(ConnectionError):
            async with site.publisher(Start("attack", "t", "opus")) as one:
                await one.send(owed)
                await asyncio.sleep(0.02)
    await site.until_over()


async def _sleeping_watchers(site: Site) -> None:
    """Watchers of the bystanders' own room who never read a byte."""
    async with site.crowd(_WATCHERS, 5, path="/v1/rooms/bench/captions", key=WATCHER, reads=False):
        await site.until_over()


ATTACKS = (
    Attack("unread-samples", "300 who ask for the sample audio and do not read it", _samples),
    Attack("bad-messages", "600 bad messages of a megabyte", _bad_messages),
    Attack("detached-sessions", "150 sessions that are owed much and never come back", _detached_sessions),
    Attack("sleeping-watchers", "300 watchers of the bystanders' room who read nothing", _sleeping_watchers),
)
