"""What a server may send that is not as it should be."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from captions.client import ConnectError, watch
from captions.client.link import Link
from captions.doors.native.messages import Missed, encode
from tests.client.test_moving import url_of
from tests.server.harness import PATIENCE_S


async def test_a_message_that_is_far_too_long_is_not_kept() -> None:
    async def hostile(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await connection.send("x" * (2 << 20))
            await connection.wait_closed()

    async with serve(hostile, "127.0.0.1", 0) as server, asyncio.timeout(PATIENCE_S):
        link = Link(url_of(server))
        await link.open()
        with pytest.raises(ConnectError, match="too big"):
            await anext(aiter(link))


async def test_who_watches_passes_over_what_only_a_newer_server_says() -> None:
    async def newer(connection: ServerConnection) -> None:
        await connection.send('{"type": "of a newer server"}')
        await connection.send(encode(Missed(), "json"))
        await connection.wait_closed()

    async with serve(newer, "127.0.0.1", 0) as server, watch(url_of(server), "daily") as captions:
        assert await asyncio.wait_for(anext(captions), PATIENCE_S) == Missed()
