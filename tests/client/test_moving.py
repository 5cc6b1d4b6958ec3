"""Where a client takes its tracks when a node sends them away."""

from __future__ import annotations

import asyncio
import json

from websockets.asyncio.server import ServerConnection, serve

from captions.client import Client
from captions.doors.native.messages import Error, Limits, Ready, Started, encode
from tests.server.harness import PATIENCE_S, serving


async def test_where_the_named_node_has_died_the_track_goes_to_another() -> None:
    dead, alive = "ws://127.0.0.1:9", ""

    async def full(connection: ServerConnection) -> None:
        """A node that names, as the emptiest, one that is no more."""
        limits = Limits(1 << 20, 1, 30.0, 0.0)
        ready = Ready("s", "secret", "1", "scripted", [], 80, limits, [dead, alive])
        await connection.send(encode(ready, "json"))
        async for message in connection:
            if json.loads(message)["type"] == "start":
                refusal = Error("overloaded", "the server has all the tracks it may", False, "ada", dead)
                await connection.send(encode(refusal, "json"))

    async with serving() as served:
        alive = served.url
        async with serve(full, "127.0.0.1", 0) as node:
            port = node.sockets[0].getsockname()[1]
            async with Client(f"ws://127.0.0.1:{port}", encoding="json") as client, asyncio.timeout(PATIENCE_S):
                await client.start("daily", "ada", "pcm_f32le", 24_000)
                async for message in client:
                    if not isinstance(message, Ready):
                        break
                assert isinstance(message, Started)
