"""Messages that cost their sender nothing: they are taken at a pace, and nobody else waits for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from msgspec import msgpack
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bench.load.raw_socket import RawSocket, frame
from captions.doors.native.messages import Audio, ClientMessage, GapNotice, Mute, Ping, Pong, Started, Unmute
from tests.server.harness import pcm_f32le, serving, started, until
from tests.speech import saying


async def test_commands_are_taken_at_a_pace_while_others_talk() -> None:
    async with serving(limits={"commands_per_s": 50}) as served, served.talker() as flooder, served.talker() as other:
        await flooder.send(started("f"))
        await flooder.hear(Started)
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        commands: list[ClientMessage] = [Mute("f"), Unmute("f")] * 60
        flood = asyncio.create_task(flooder.send(*commands, Ping("all taken")))
        assert await other.say("t", saying(1, 2, 3)) == "w1 w2 w3"
        await flooder.hear(Pong)
        await flood
        # 122 commands, 100 of them at once: the rest cannot have come sooner than the pace lets it.
        assert loop.time() - began_at >= 20 / 50


async def test_a_client_with_nothing_but_nonsense_is_taken_at_a_pace_too() -> None:
    async with serving(limits={"commands_per_s": 50}) as served:
        async with served.talker() as client:
            began_at = asyncio.get_running_loop().time()
            for _ in range(110):
                await client.connection.send(b"\xc1")
            await client.send(Ping("1"))
            await client.hear(Pong)
            assert asyncio.get_running_loop().time() - began_at >= 10 / 50
        assert await served.metric("captions_errors_total", code="bad_message") == 110


async def test_pings_of_the_protocol_below_are_bounded_and_end_only_who_sends_them() -> None:
    async with serving() as served, served.talker() as other:
        async with connect(f"{served.url}/v1/stream", proxy=None) as honest:
            for _ in range(5):
                await (await honest.ping())
        async with connect(f"{served.url}/v1/stream", proxy=None) as flooder:
            with suppress(ConnectionClosed):
                for _ in range(1_000):
                    await flooder.ping()
            await flooder.wait_closed()
        assert await other.say("t", saying(1, 2)) == "w1 w2"


async def test_a_message_in_endlessly_many_empty_pieces_ends_its_connection() -> None:
    async with serving() as served:
        async with await RawSocket.open(served.url) as one:
            await one.send(frame(b"", 2, final=False) + frame(b"", 0, final=False) * 5_000)
            await until(lambda: served.server.census().connections == 0)
        async with served.talker() as client:
            assert await client.say("t", saying(1)) == "w1"


async def test_crumbs_of_audio_are_taken_at_a_pace_and_heard_all_the_same() -> None:
    frames = saying(1, 2)
    crumbs = [Audio("t", pcm_f32le(frame[at : at + 48])) for frame in frames for at in range(0, 1_920, 48)]
    async with serving(limits={"commands_per_s": 100}) as served, served.talker() as client:
        await client.send(started("t"))
        await client.hear(Started)
        began_at = asyncio.get_running_loop().time()
        await client.send(*crumbs)
        assert await client.stop("t") == "w1 w2"
        assert asyncio.get_running_loop().time() - began_at >= (len(crumbs) - 200) / 100


async def test_audio_that_comes_far_too_fast_is_read_at_a_pace_once_it_is_dropped() -> None:
    frame_s, minutes = 0.08, pcm_f32le(saying(1)[0])
    async with serving(limits={"commands_per_s": 200, "pending_audio_s": 1.0}) as served, served.talker() as client:
        await client.send(started("t", live=True))
        await client.hear(Started)
        began_at = asyncio.get_running_loop().time()
        await client.send(*(Audio("t", minutes) for _ in range(1_000)), Ping("all taken"))
        async with served.talker() as other:
            assert await other.say("o", saying(1, 2)) == "w1 w2"
        await client.hear(Pong)
        taken_s = asyncio.get_running_loop().time() - began_at
        dropped_s = sum(gap.end - gap.start for gap in client.said if isinstance(gap, GapNotice))
        assert dropped_s > 0
        assert taken_s >= (dropped_s / frame_s - 400) / 200 - 0.5


@pytest.mark.parametrize(
    ("path", "payload"),
    [
        ("/api/asr-streaming", msgpack.encode({"type": "Marker", "id": 1})),
        ("/v1/livekit?room=r&track=t", '{"muted": true}'),
        ("/v1/livekit?room=r&track=t", bytes(2)),
        ("/v1/jitsi?sessionId=s", '{"event": "ping"}'),
        ("/v1/vosk", bytes(2)),
        ("/v1/listen?encoding=opus", '{"type": "KeepAlive"}'),
        ("/v1/realtime", "nothing"),
        ("/v2/live", "nothing"),
        ("/v1/rooms/daily/captions", "hello"),
    ],
)
async def test_every_door_takes_what_is_no_audio_at_a_pace(path: str, payload: bytes | str) -> None:
    async with serving(limits={"commands_per_s": 100}) as served, connect(served.url + path, proxy=None) as client:
        began_at = asyncio.get_running_loop().time()
        for _ in range(230):
            await client.send(payload)
        await client.close()
        await served.nothing_held()
        assert asyncio.get_running_loop().time() - began_at >= 28 / 100
