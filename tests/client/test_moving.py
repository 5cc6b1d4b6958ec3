"""Where a client takes its tracks when a node sends them away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from websockets.asyncio.server import ServerConnection, serve

from captions.client import Client
from captions.doors.native.messages import (
    Error,
    ErrorCode,
    Limits,
    Ready,
    ServerMessage,
    SpeechNotice,
    Started,
    Stopped,
    encode,
)
from tests.server.harness import PATIENCE_S, serving

LIMITS = Limits(1 << 20, 1, 30.0, 0.0)


async def test_where_the_named_node_has_died_the_track_goes_to_another() -> None:
    dead, alive = "ws://127.0.0.1:9", ""

    async def full(connection: ServerConnection) -> None:
        """A node that names, as the emptiest, one that is no more."""
        ready = Ready("s", "secret", "1", "scripted", [], 80, LIMITS, [dead, alive])
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


async def test_a_server_that_takes_a_track_only_later_is_asked_again_until_it_does() -> None:
    refusals: list[ErrorCode] = ["draining", "overloaded", "overloaded"]
    has_started = False

    async def restarts(connection: ServerConnection) -> None:
        """Ends what it has started, as who stops does, and is not at once itself again."""
        nonlocal has_started
        await connection.send(encode(Ready("s", "secret", "1", "scripted", [], 80, LIMITS), "json"))
        async for message in connection:
            if json.loads(message)["type"] != "start":
                continue
            if has_started and refusals:
                await connection.send(encode(Error(refusals.pop(0), "not yet", False, "ada"), "json"))
            else:
                await connection.send(encode(Started("ada", 1), "json"))
                if not has_started:
                    has_started = True
                    await connection.send(encode(Stopped("ada"), "json"))
                else:
                    await connection.send(encode(SpeechNotice("ada", True, 0.0), "json"))

    async with serve(restarts, "127.0.0.1", 0) as node:
        port = node.sockets[0].getsockname()[1]
        async with Client(f"ws://127.0.0.1:{port}", encoding="json") as client, asyncio.timeout(PATIENCE_S):
            await client.start("daily", "ada", "pcm_f32le", 24_000)
            said = []
            async for message in client:
                said.append(type(message))
                if isinstance(message, SpeechNotice):
                    break
    assert (said, refusals) == ([Ready, Started, SpeechNotice], [])


async def test_a_track_with_which_one_node_after_the_other_is_lost_is_given_up() -> None:
    async def dies_of_it(connection: ServerConnection) -> None:
        async for message in connection:
            asked = json.loads(message)
            if asked["type"] == "resume":
                await connection.send(encode(Error("not_resumable", "no such session", False), "json"))
            elif asked["type"] == "start":
                await connection.send(encode(Ready("s", "secret", "1", "scripted", [], 80, LIMITS), "json"))
                await connection.send(encode(Started(asked["track"], 1), "json"))
                await connection.close(1011, "the server failed")

    async with serve(dies_of_it, "127.0.0.1", 0) as node:
        port = node.sockets[0].getsockname()[1]
        async with Client(f"ws://127.0.0.1:{port}", encoding="json") as client, asyncio.timeout(PATIENCE_S):
            await client.start("daily", "ada", "pcm_f32le", 24_000)
            [error] = [message async for message in until_refused(client) if isinstance(message, Error)]
    assert (error.code, error.track) == ("model_failed", "ada")


async def until_refused(client: Client) -> AsyncIterator[ServerMessage]:
    async for message in client:
        yield message
        if isinstance(message, Error):
            return
