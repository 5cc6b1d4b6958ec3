"""A client's connection: a WebSocket, or UDP; and where captions come back in a room only, a WebSocket to read them.

The only module of the harness that imports websockets' client.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from bench.measure.events import Observation, Trouble
from bench.protocols import Dialect, Payload
from bench.protocols.gladia import GladiaDialect
from bench.protocols.in_rooms import RoomDialect, RtpDialect

__all__ = ["Connection", "ConnectionRefused", "open_connection"]


class ConnectionRefused(Exception):
    """The server cannot be reached or will not have us; the message is one line."""


class Connection:
    """One connection of one dialect. Iterate over it all the while; `send` may be called beside it.

    `reads`: where captions come back; without it, on the socket itself.
    """

    def __init__(self, socket: ClientConnection, dialect: Dialect, reads: ClientConnection | None = None) -> None:
        self._socket = socket
        self._dialect = dialect
        self._reads = reads or socket

    async def send(self, payload: Payload) -> None:
        """Hand a payload to the kernel; waits where the server does not read. A closed connection takes everything."""
        with suppress(ConnectionClosed):
            await self._socket.send(payload)

    async def __aiter__(self) -> AsyncIterator[Observation]:
        """Until the connection ends, which is the last observation."""
        try:
            async for payload in self._reads:
                at = time.monotonic()
                for observation in self._dialect.receive(payload, at):
                    yield observation
        except ConnectionClosed as error:
            yield Trouble("", time.monotonic(), f"the connection broke: {error}")
            return
        yield Trouble("", time.monotonic(), "the server closed the connection")


class _RtpConnection(Connection):
    """Datagrams to where the server expects them; captions from the room."""

    def __init__(self, dialect: RtpDialect, reads: ClientConnection) -> None:
        super().__init__(reads, dialect)
        self._rtp = dialect
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    async def announce(self) -> None:
        for track in self._rtp.tracks:
            answer = await asyncio.to_thread(_ask, self._rtp.url, self._rtp.headers, "POST", self._rtp.request(track))
            self._rtp.expected(track, answer)
            self._udp.connect((answer["address"], answer["port"]))

    async def send(self, payload: Payload) -> None:
        if isinstance(payload, bytes):
            with suppress(ConnectionRefusedError):
                self._udp.send(payload)
        else:
            await asyncio.to_thread(_ask, f"{self._rtp.url}/{payload}", self._rtp.headers, "DELETE")

    def close(self) -> None:
        self._udp.close()


@asynccontextmanager
async def open_connection(dialect: Dialect) -> AsyncIterator[Connection]:
    """Connect and send what opens the dialect.

    Raises:
        ConnectionRefused: the server cannot be reached or refuses.
    """
    async with AsyncExitStack() as stack:
        reads = None
        if isinstance(dialect, RoomDialect):
            reads = await _open(dialect.watches, dialect)
            stack.push_async_callback(reads.close)
        if isinstance(dialect, RtpDialect):
            assert reads is not None
            by_udp = _RtpConnection(dialect, reads)
            stack.callback(by_udp.close)
            await by_udp.announce()
            yield by_udp
            return
        if isinstance(dialect, GladiaDialect):
            dialect.expected(await asyncio.to_thread(_ask, dialect.asks, dialect.headers, "POST", dialect.request()))
        socket = await _open(dialect.url, dialect)
        stack.push_async_callback(socket.close)
        for payload in dialect.opening():
            await socket.send(payload)
        yield Connection(socket, dialect, reads)


async def _open(url: str, dialect: Dialect) -> ClientConnection:
    try:
        return await connect(
            url,
            additional_headers=dict(dialect.headers),
            subprotocols=[Subprotocol(name) for name in dialect.subprotocols] or None,
            compression=None,
            max_size=None,
            proxy=None,
            open_timeout=30,
            close_timeout=2,
            ping_interval=None,
        )
    except (TimeoutError, OSError, InvalidHandshake, InvalidURI) as error:
        raise ConnectionRefused(f"{url}: {error}") from None


def _ask(url: str, headers: Mapping[str, str], method: str, body: bytes | None = None) -> Mapping[str, Any]:
    asked = urllib.request.Request(url, body, dict(headers), method=method)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            said = answer.read()
    except (OSError, urllib.error.HTTPError) as error:
        raise ConnectionRefused(f"{url}: {error}") from None
    found: Mapping[str, Any] = json.loads(said) if method == "POST" else {}
    return found
