"""The one address by which clients come to several nodes, as a proxy gives: to each node that lives, in turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from urllib.parse import urlsplit

__all__ = ["one_address"]


@asynccontextmanager
async def one_address(urls: Callable[[], list[str]]) -> AsyncIterator[str]:
    """`urls`: of the nodes there are at the time. A connection to one that has died goes to the next."""
    turns = count()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nodes = urls()
        first = next(turns)
        for turn in range(len(nodes)):
            with suppress(OSError):
                node = urlsplit(nodes[(first + turn) % len(nodes)])
                there, back = await asyncio.open_connection(node.hostname, node.port)
                await asyncio.gather(_one_way(reader, back), _one_way(there, writer))
                return
        writer.close()

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
