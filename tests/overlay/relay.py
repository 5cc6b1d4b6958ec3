"""A stretch of network between a browser and its server that can go dead without closing anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

__all__ = ["Relay"]


class Relay:
    """`url` leads to a server until `stall`, and again from `go_on`; bytes that came meanwhile arrive then."""

    def __init__(self, to: str) -> None:
        self._to = urlsplit(to).port
        self._passes = asyncio.Event()
        self._passes.set()
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://localhost:{self._port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Relay]:
        server = await asyncio.start_server(self._pass, "localhost", 0)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self._passes.set()
            server.close()

    def stall(self) -> None:
        self._passes.clear()

    def go_on(self) -> None:
        self._passes.set()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        away_reader, away_writer = await asyncio.open_connection("localhost", self._to)
        await asyncio.gather(self._copy(reader, away_writer), self._copy(away_reader, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(65_536):
                await self._passes.wait()
                writer.write(piece)
        writer.close()
