"""Many packets in one message: the server's side over real sockets, and the client that gathers them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from captions.client import Client, ConnectError
from captions.doors.native import messages as native
from captions.doors.native.messages import (
    MOST_PACKETS,
    Audio,
    ClientMessage,
    Encoding,
    Error,
    FlushRequest,
    Packets,
    Ping,
    Started,
    Stop,
    Stopped,
    TrackPacket,
)
from tests.server.harness import PATIENCE_S, Talker, final_text, pcm_f32le, serving, started, until
from tests.speech import saying

LONG_S = 60.0
"""Longer than any test: what was gathered is sent for another reason than time."""


async def handle_of(client: Talker, track: str) -> int:
    await client.send(started(track))
    return (await client.hear(Started)).handle


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
async def test_a_message_carries_packets_of_many_tracks(encoding: Encoding) -> None:
    async with serving() as served, served.talker(encoding) as client:
        a, b = await handle_of(client, "a"), await handle_of(client, "b")
        for one, other in zip(saying(1, 2, 3), saying(7, 8, 9), strict=True):
            await client.send(Packets([TrackPacket(a, pcm_f32le(one)), TrackPacket(b, pcm_f32le(other))]))
        await client.stop("a")
        await client.stop("b")
        assert (final_text(client.said, "a"), final_text(client.said, "b")) == ("w1 w2 w3", "w7 w8 w9")
        assert client.errors() == []


async def test_what_is_wrong_with_a_packet_is_told_of_its_track_and_the_others_are_heard() -> None:
    async with serving() as served, served.talker() as client:
        a, b = await handle_of(client, "a"), await handle_of(client, "b")
        for frame in saying(1, 2, 3):
            good = TrackPacket(a, pcm_f32le(frame))
            await client.send(Packets([good, TrackPacket(b, b"", seq=70_000), TrackPacket(b, b"", level=999)]))
        await client.stop("a")
        assert final_text(client.said, "a") == "w1 w2 w3"
        assert {(error.code, error.track) for error in client.errors()} == {("bad_message", "b")}
        assert len(client.errors()) == len(saying(1, 2, 3)), "once a message and track"


async def test_a_handle_is_never_given_again() -> None:
    async with serving() as served, served.talker() as client:
        first = await handle_of(client, "a")
        await client.stop("a")
        second = await handle_of(client, "a")
        assert second != first
        await client.send(Packets([TrackPacket(first, b"")]))
        error = await client.hear(Error)
        assert (error.code, error.message) == ("unknown_track", f"no track has the handle {first}")


async def test_a_message_full_of_nonsense_is_answered_with_a_few_errors() -> None:
    async with serving() as served, served.talker() as client:
        await handle_of(client, "a")
        nonsense = [TrackPacket(number + 1_000, b"") for number in range(MOST_PACKETS)]
        await client.send(Packets(nonsense), Ping("1"))
        await client.hear(native.Pong)
        assert len(client.errors()) == 16


async def test_a_track_that_drops_nothing_holds_its_sender_back_inside_a_message() -> None:
    async with serving(limits={"pending_audio_s": 0.5}) as served, served.talker() as client:
        handle = await handle_of(client, "a")
        frames = [TrackPacket(handle, pcm_f32le(frame)) for frame in saying(*range(1, 13))]
        await client.send(Packets(frames))
        assert await client.stop("a") == " ".join(f"w{number}" for number in range(1, 13))


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, list[ClientMessage]]]:
    """A server that starts every track and remembers what it was sent."""
    heard: list[ClientMessage] = []

    async def session(connection: ServerConnection) -> None:
        ready = native.Ready("s", "x", "captions.v1", "m", [], 0, native.Limits(2_000, 9, 1.0, 1.0, MOST_PACKETS))
        await connection.send(native.encode(ready, "msgpack"))
        async for payload in connection:
            assert isinstance(payload, bytes)
            message = native.decode_client(payload, "msgpack")
            assert not isinstance(message, native.SpoiltPackets)
            heard.append(message)
            if isinstance(message, native.Start):
                await connection.send(native.encode(Started(message.track, len(heard)), "msgpack"))
            if isinstance(message, Stop):
                await connection.send(native.encode(Stopped(message.track), "msgpack"))

    async with serve(session, "127.0.0.1", 0, compression=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard


async def until_started(client: Client, *tracks: str) -> None:
    for track in tracks:
        await client.start("r", track, "opus")
    owed = set(tracks)
    async for message in client:
        owed -= {message.track} if isinstance(message, Started) else set()
        if not owed:
            return


async def until_stopped(client: Client) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async for message in client:
            if isinstance(message, Stopped):
                return


async def test_the_client_gathers_packets_and_keeps_the_order_of_everything() -> None:
    async with listening() as (url, heard), Client(url, gather_s=LONG_S) as client:
        await until_started(client, "a", "b")
        await client.audio("a", b"1")
        await client.send(Audio("b", b"2", 1, 960, 0.5, 30))
        await client.send(FlushRequest("a", "f"))
        await client.audio("a", b"3")
        await client.stop("a")
        await until_stopped(client)
        assert heard[2:] == [
            Packets([TrackPacket(1, b"1"), TrackPacket(2, b"2", 1, 960, 30, 0.5)]),
            FlushRequest("a", "f"),
            Packets([TrackPacket(1, b"3")]),
            Stop("a"),
        ]


async def test_the_client_sends_what_it_gathered_when_its_time_is_over_and_when_it_leaves() -> None:
    async with listening() as (url, heard):
        async with Client(url, gather_s=0.001) as client:
            await until_started(client, "a")
            await client.audio("a", b"1")
            await until(lambda: len(heard) == 2)
        async with Client(url, gather_s=LONG_S) as client:
            await until_started(client, "b")
            await client.audio("b", b"2")
        await until(lambda: len(heard) == 4)
        assert [heard[1], heard[3]] == [Packets([TrackPacket(1, b"1")]), Packets([TrackPacket(3, b"2")])]


async def test_the_client_gathers_no_more_than_half_of_what_a_message_may_hold() -> None:
    async with listening() as (url, heard), Client(url, gather_s=LONG_S) as client:
        await until_started(client, "a")
        for _ in range(10):
            await client.audio("a", bytes(300))
        await client.stop("a")
        await until_stopped(client)
        assert [len(message.packets) for message in heard if isinstance(message, Packets)] == [2, 2, 2, 2, 2]


@pytest.mark.parametrize("gather_s", [0.0, LONG_S])
async def test_packets_go_one_by_one_if_asked_to_and_before_the_server_was_heard(gather_s: float) -> None:
    async with listening() as (url, heard), Client(url, gather_s=gather_s) as client:
        if gather_s:
            await client.start("r", "a", "opus")
        else:
            await until_started(client, "a")
        await client.audio("a", b"1")
        await client.stop("a")
        await until_stopped(client)
        assert heard[1:] == [Audio("a", b"1"), Stop("a")]


async def test_that_the_server_has_gone_is_told_to_whoever_sends_next() -> None:
    async with AsyncExitStack() as server:
        url, _ = await server.enter_async_context(listening())
        async with Client(url, gather_s=LONG_S, reconnect_s=0.0) as client:
            await until_started(client, "a", "b")
            await client.audio("a", b"1")
            await server.aclose()
            with pytest.raises(ConnectError):
                await client.stop("a")
            with pytest.raises(ConnectError):
                await client.audio("b", b"2")
