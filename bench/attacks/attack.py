"""What an attack is: somebody who comes to a server with a key, or without one, and means it no good."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from bench.load.clips import AudioFormat, Clip, packets_of, two_cities
from bench.load.raw_socket import RawSocket, Refused, frame
from captions.doors.native import messages as native

__all__ = [
    "FRIEND",
    "GUEST",
    "WATCHER",
    "Attack",
    "Site",
    "audio_frames",
    "frames_of",
    "raw_speech",
    "repeat",
    "speech",
    "speech_packets",
]

GUEST, FRIEND, WATCHER = "the-attackers-key", "the-bystanders-key", "a-watchers-key"


@dataclass(frozen=True, slots=True)
class Site:
    """Where an attack takes place, and until when (on the monotonic clock)."""

    url: str
    ends_at: float

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.ends_at

    async def until_over(self) -> None:
        await asyncio.sleep(max(0.0, self.ends_at - time.monotonic()))

    @asynccontextmanager
    async def publisher(self, *starts: native.ClientMessage, reads: bool = True) -> AsyncIterator[RawSocket]:
        """A connection with the attacker's key, on which these messages were sent."""
        async with await RawSocket.open(self.url, key=GUEST, source="127.0.0.2", reads=reads) as one:
            await one.send(frames_of(*starts))
            yield one

    @asynccontextmanager
    async def crowd(self, count: int, sources: int = 1, **how: Any) -> AsyncIterator[list[RawSocket]]:
        """So many connections from so many addresses, as many as the server lets in; `how` as `RawSocket.open` has."""
        async with AsyncExitStack() as stack:
            opened = await asyncio.gather(
                *(self._open(f"127.0.0.{2 + number % sources}", how) for number in range(count))
            )
            crowd = [one for one in opened if one is not None]
            for one in crowd:
                stack.callback(one.reset)
            yield crowd

    async def _open(self, source: str, how: Mapping[str, Any]) -> RawSocket | None:
        try:
            return await RawSocket.open(self.url, **{"key": GUEST, "source": source, **how})
        except (Refused, OSError):
            return None


Assault: TypeAlias = Callable[[Site], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Attack:
    """`assault` goes on until the site's time is over, or is done before that.

    `settings`: of the server, by section, as in config.toml. `lanes`: of its model.
    """

    name: str
    what: str
    assault: Assault
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lanes: int = 64


async def repeat(site: Site, one: RawSocket, data: bytes) -> None:
    """Send the same over and over until the time is over or the server has had enough."""
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + site.ends_at - time.monotonic()):
            while True:
                await one.send(data)


def frames_of(*messages: native.ClientMessage) -> bytes:
    """Messages in MessagePack, each in a frame of its own."""
    return b"".join(frame(native.encode(message, "msgpack")) for message in messages)


def audio_frames(track: str, packets: Iterable[bytes]) -> bytes:
    """Audio of a track, a message a packet."""
    return frames_of(*(native.Audio(track, packet) for packet in packets))


@cache
def speech() -> Clip:
    """Ten seconds of somebody who reads aloud."""
    return two_cities().cut(0.0, 10.0)


@cache
def speech_packets() -> tuple[bytes, ...]:
    """The same as Opus, 20 ms a packet."""
    return tuple(packets_of(speech().pcm, AudioFormat()))


@cache
def raw_speech(size: int) -> bytes:
    """The same as pcm_s16le at 48 kHz, over and over: so many bytes."""
    pcm = (np.clip(speech().pcm, -1, 1) * 32_767).astype("<i2").tobytes()
    return (pcm * (size // len(pcm) + 1))[:size]
