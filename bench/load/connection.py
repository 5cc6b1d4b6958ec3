"""A client's WebSocket: the only module of the harness that imports websockets' client."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from bench.measure.events import Observation, Trouble
from bench.protocols import Dialect, Payload

__all__ = ["Connection", "ConnectionRefused", "open_connection"]


class ConnectionRefused(Exception):
    """The server cannot be reached or will not have us; the message is one line."""


class Connection:
    """One connection of one dialect. Iterate over it all the while; `send` may be called beside it."""

    def __init__(self, socket: ClientConnection, dialect: Dialect) -> None:
        self._socket = socket
        self._dialect = dialect

    async def send(self, payload: Payload) -> None:
        """Hand a payload to the kernel; waits where the server does not read. A closed connection takes everything."""
        try:
            await self._socket.send(payload)
        except ConnectionClosed:
            return

    async def __aiter__(self) -> AsyncIterator[Observation]:
        """Until the connection ends, which is the last observation."""
        try:
            async for payload in self._socket:
                at = time.monotonic()
                for observation in self._dialect.receive(payload, at):
                    yield observation
        except ConnectionClosed as error:
            yield Trouble("", time.monotonic(), f"the connection broke: {error}")
            return
        yield Trouble("", time.monotonic(), "the server closed the connection")


@asynccontextmanager
async def open_connection(dialect: Dialect) -> AsyncIterator[Connection]:
    """Connect and send what opens the dialect.

    Raises:
        ConnectionRefused: the server cannot be reached or refuses.
    """
    try:
        socket = await connect(
            dialect.url,
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
        raise ConnectionRefused(f"{dialect.url}: {error}") from None
    try:
        for payload in dialect.opening():
            await socket.send(payload)
        yield Connection(socket, dialect)
    finally:
        await socket.close()
