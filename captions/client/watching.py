"""Reading what is said in a room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

from captions.client.link import connection_to, payloads, read, with_route
from captions.doors.native.messages import Caption, Missed, Segment, Uncaptioned

__all__ = ["watch"]


@asynccontextmanager
async def watch(
    url: str, room: str, key: str | None = None, *, since: str | None = None
) -> AsyncIterator[AsyncIterator[Caption | Missed]]:
    """The captions of a room: recent ones first, then new ones as they come, and what is missing between them.

    `since`: the last `position` of an earlier watch, at whichever node; then what came behind it is first, or `Missed`
    and what is left of it.

    Raises:
        ConnectError: the server cannot be reached, will not have us, or the connection was lost without a goodbye.
    """
    query = f"?since={quote(since)}" if since else ""
    connection = await connection_to(with_route(url, f"/v1/rooms/{quote(room, safe='')}/captions") + query, key, None)

    async def captions() -> AsyncIterator[Caption | Missed]:
        async for payload in payloads(connection):
            message = read(payload)
            if isinstance(message, Segment | Uncaptioned | Missed):
                yield message

    try:
        yield captions()
    finally:
        await connection.close()
