"""Clients that vanish without a word: nothing of them is left, and nobody else notices."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct

import pytest
from websockets.asyncio.client import connect
from websockets.frames import Frame, Opcode

from captions.doors.native import messages as native
from captions.doors.native.messages import Audio, Started
from tests.server.harness import pcm_f32le, serving, started, until
from tests.speech import saying


async def vanish(url: str, messages: list[native.ClientMessage], *, reset: bool) -> None:
    """Say something, and be gone: with a reset, as of a killed host, or with the socket just closed."""
    connection = await connect(f"{url}/v1/stream", proxy=None, ping_interval=None)
    for message in messages:
        await connection.send(native.encode(message, "msgpack"))
    if reset:
        raw = connection.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.transport.abort()


@pytest.mark.parametrize("reset", [True, False])
async def test_a_swarm_that_speaks_and_vanishes_leaves_nothing_and_disturbs_nobody(reset: bool) -> None:
    speech: list[native.ClientMessage] = [Audio("t", pcm_f32le(frame)) for frame in saying(7, 8)]
    kinds: list[list[native.ClientMessage]] = [[], [started("t")], [started("t"), *speech]]
    async with serving() as served:
        async with served.talker() as other:
            await other.send(started("t1"))
            await other.hear(Started)
            async with asyncio.TaskGroup() as group:
                for number in range(60):
                    group.create_task(vanish(served.url, kinds[number % 3], reset=reset))
            assert await other.say("t2", saying(1, 2, 3)) == "w1 w2 w3"
        await served.nothing_held()


async def test_what_came_of_a_message_without_an_end_goes_with_its_connection() -> None:
    def pieces() -> int:
        return sum(type(one) is Frame for one in gc.get_objects())

    async with serving() as served:
        gc.collect()
        gc.disable()
        try:
            before = pieces()
            connection = await connect(f"{served.url}/v1/stream", proxy=None, ping_interval=None)
            for opcode in (Opcode.BINARY, Opcode.CONT, Opcode.CONT):
                connection.transport.write(Frame(opcode, bytes(9_000), fin=False).serialize(mask=True))
            await until(lambda: pieces() == before + 3)
            connection.transport.abort()
            await served.nothing_held()
            await until(lambda: pieces() <= before + 1)  # the last is where websockets parsed it
        finally:
            gc.enable()


async def test_tcp_connections_that_never_ask_for_anything_are_no_connections() -> None:
    async with serving() as served:
        host, port = served.url.removeprefix("ws://").split(":")
        idle = [await asyncio.open_connection(host, int(port)) for _ in range(20)]
        idle[0][1].write(b"GET /v1/str")
        async with served.talker() as client:
            assert await client.say("t1", saying(1, 2)) == "w1 w2"
        await served.nothing_held()
        for _, writer in idle:
            writer.close()


async def test_nothing_is_kept_for_a_client_that_does_not_come_back_for_its_last_words() -> None:
    async with serving() as served:
        await vanish(served.url, [started("t"), *(Audio("t", pcm_f32le(frame)) for frame in saying(1, 2))], reset=True)
        await served.nothing_held()
        assert await served.metric("captions_limit_used", limit="waiting_bytes") == 0
