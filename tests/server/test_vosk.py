"""Vosk's protocol end to end, by a client in the lock-step of vosk-server's own: send, read one reply, send again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from captions.models.moonshine.model import MoonshineModel
from captions.types import Pcm
from tests.server.harness import Served, serving, until
from tests.speech import saying, silence

CONFIG = json.dumps({"config": {"sample_rate": 24_000}})


async def asked(socket: ClientConnection, payload: bytes | str) -> dict[str, Any]:
    await socket.send(payload)
    reply: dict[str, Any] = json.loads(await socket.recv())
    return reply


async def lock_step(socket: ClientConnection, frames: Iterable[Pcm]) -> list[dict[str, Any]]:
    """The one reply to each frame."""
    return [await asked(socket, (frame * 32_767).astype("<i2").tobytes()) for frame in frames]


def spoken(replies: Iterable[dict[str, Any]]) -> str:
    return " ".join(reply["text"] for reply in replies if reply.get("text"))


async def test_each_message_of_audio_gets_one_reply_and_the_end_gets_what_is_left() -> None:
    async with serving() as served, connect(f"{served.url}/v1/vosk") as socket:
        await socket.send(CONFIG)
        frames = saying(1, 2, 3) + silence(25) + saying(4, 5)
        replies = await lock_step(socket, frames)
        last = await asked(socket, '{"eof" : 1}')
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert len(replies) == len(frames), "one reply a message"
    assert all(("partial" in reply) != ("text" in reply) for reply in replies)
    assert spoken([*replies, last]) == "w1 w2 w3 w4 w5"
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1000


async def test_a_reset_answers_with_what_is_left_and_goes_on() -> None:
    async with serving() as served, connect(f"{served.url}/v1/vosk") as socket:
        await socket.send('{"config": {"sample_rate": 24000, "words": false}}')
        before = await lock_step(socket, saying(1, 2))
        reset = await asked(socket, '{"reset" : 1}')
        after = await lock_step(socket, silence(12) + saying(7))
        last = await asked(socket, '{"eof": 1}')
    assert spoken([*before, reset]) == "w1 w2"
    assert spoken([*after, last]) == "w7"
    assert "result" not in last


async def test_without_audio_the_end_is_an_empty_text() -> None:
    async with serving() as served, connect(f"{served.url}/v1/vosk") as socket:
        assert await asked(socket, '{"eof": 1}') == {"text": ""}


async def test_a_room_named_in_the_address_gets_the_captions() -> None:
    async with serving() as served:
        async with connect(f"{served.url}/v1/vosk?room=daily&participant=ada&name=Ada") as socket:
            await socket.send(CONFIG)
            await lock_step(socket, saying(1, 2))
            await asked(socket, '{"eof": 1}')
        _, transcript = await served.get("/v1/rooms/daily/transcript.json")
    (segment,) = json.loads(transcript)
    assert (segment["participant"], segment["text"]) == ({"id": "ada", "name": "Ada"}, "w1 w2")


@pytest.mark.parametrize(
    "payload", ["no JSON", '{"config": {"sample_rate": 1}}', '{"config": {"sample_rate": 24000}', "{}"]
)
async def test_what_cannot_be_read_closes_the_connection_and_says_why(payload: str) -> None:
    async with serving() as served, connect(f"{served.url}/v1/vosk") as socket:
        await socket.send(payload)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        assert closed.value.rcvd.reason
        assert await served.metric("captions_errors_total", code="bad_message") == 1


async def test_another_language_in_mid_speech_is_answered_as_nextclouds_client_waits_for_it() -> None:
    async with serving(MoonshineModel(1)) as served, connect(f"{served.url}/v1/vosk") as socket:
        await socket.send('{"config": {"sample_rate": 48000, "language": "en"}}')
        assert "partial" in await asked(socket, np.zeros(960, "<i2").tobytes()), "no reply to the first settings"
        assert await asked(socket, '{"config": {"language": "fr"}}') == {"success": False}
        assert await asked(socket, '{"config": {"language": "en"}}') == {"success": True}
        assert "partial" in await asked(socket, np.zeros(960, "<i2").tobytes())
        assert await asked(socket, '{"eof" : 1}') == {"text": ""}


async def test_a_vanished_client_leaves_nothing_behind() -> None:
    async with serving() as served:
        socket = await connect(f"{served.url}/v1/vosk")
        await socket.send(CONFIG)
        await lock_step(socket, saying(1, 2))
        socket.transport.abort()
        await until(lambda: socket.state.name == "CLOSED")
        await served.nothing_held()


async def refused(served: Served) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        await connect(f"{served.url}/v1/vosk")
    return refusal.value.response.status_code


async def test_a_bad_key_and_a_full_server_are_refused_before_the_socket_opens() -> None:
    async with serving(keys={"publish": ("secret",)}) as served:
        assert await refused(served) == 401
        async with connect(f"{served.url}/v1/vosk?key=secret") as socket:
            assert await asked(socket, '{"eof": 1}') == {"text": ""}
    async with serving(limits={"tracks": 1}) as served, connect(f"{served.url}/v1/vosk") as socket:
        await asked(socket, np.zeros(800, "<i2").tobytes())
        assert await refused(served) == 503
