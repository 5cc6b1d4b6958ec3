"""Bad input: a named error on that track or connection, the others unaffected; who vanishes frees all it held."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from captions.doors.native.messages import (
    Audio,
    Encoding,
    Error,
    Participant,
    Ping,
    Pong,
    Segment,
    Start,
    Started,
    Stopped,
)
from captions.models.scripted import ScriptedModel
from captions.stream.opus import OpusEncoder
from tests.server.harness import NOTHING, PATIENCE_S, Served, Talker, pcm_f32le, serving, started, until
from tests.speech import saying, silence


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as server:
        yield server


def packed(fields: dict[str, Any]) -> bytes:
    return msgspec.msgpack.encode(fields)


START = {"type": "start", "room": "daily", "track": "bad", "codec": "opus"}

BAD: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "an unknown message type": ({"type": "sing", "track": "good"}, "unknown_type", "good"),
    "a message without a type": ({"track": "good"}, "bad_message", "good"),
    "a wrong field type": ({"type": "flush", "track": "good", "id": 5}, "bad_message", "good"),
    "a field out of range": ({"type": "audio", "track": "good", "data": "", "seq": 65_536}, "bad_message", "good"),
    "a missing field": ({"type": "flush", "track": "good"}, "bad_message", "good"),
    "audio before start": ({"type": "audio", "track": "nobody", "data": ""}, "unknown_track", "nobody"),
    "an unknown codec": (START | {"codec": "mp3"}, "unsupported_audio", "bad"),
    "an impossible sample rate": (START | {"codec": "pcm_s16le", "sample_rate": 7}, "unsupported_audio", "bad"),
    "a sample rate that Opus has not": (START | {"sample_rate": 16_000}, "unsupported_audio", "bad"),
    "too many channels": (START | {"channels": 6}, "unsupported_audio", "bad"),
    "a room without a name": (START | {"room": ""}, "bad_message", "bad"),
    "a second start": ({"type": "start", "room": "r", "track": "good", "codec": "opus"}, "track_exists", "good"),
    "a stop for none": ({"type": "stop", "track": "nobody"}, "unknown_track", "nobody"),
    "a mute for none": ({"type": "mute", "track": "nobody"}, "unknown_track", "nobody"),
    "an unmute for none": ({"type": "unmute", "track": "nobody"}, "unknown_track", "nobody"),
    "a flush for none": ({"type": "flush", "track": "nobody", "id": "f"}, "unknown_track", "nobody"),
}
BAD_BYTES = {
    "truncated MessagePack": b"\x82\xa4type\xa4sto",
    "bytes behind the message": b"\x80\x00",
    "a byte MessagePack never uses": b"\xc1",
    "MessagePack that is no map": b"\x93\x01\x02\x03",
    "no bytes": b"",
    "text in binary": b'{"type":"ping","id":"1"}',
    "a thousand nested lists": b"\x81\xa1x" + b"\x91" * 100_000,
}
BAD_TEXT = {
    "a text frame that is no JSON": "hello",
    "truncated JSON": '{"type":"stop","track":"go',
    "JSON that is no object": "[1, 2, 3]",
    "no text": "",
    "nested JSON": '{"x":' + "[" * 100_000,
    "half a surrogate": '{"type":"stop","track":"\\ud800"}',
}


async def with_a_good_track(served: Served, encoding: Encoding, bad: bytes | str, code: str, track: str | None) -> None:
    """Send something bad amid the audio of a good track, of the same connection and of another."""
    frames = saying(1, 2, 3, 4)
    async with served.talker(encoding) as client, served.talker("json") as other:
        for talker in (client, other):
            await talker.send(started("good"))
            await talker.speak("good", frames[:6])
        await client.connection.send(bad)
        error = await client.hear(Error)
        assert (error.code, error.track, error.fatal) == (code, track, False)
        assert error.message
        assert "\n" not in error.message
        for talker in (client, other):
            await talker.speak("good", frames[6:])
            assert await talker.stop("good") == "w1 w2 w3 w4"
        assert (len(client.errors()), len(other.errors())) == (1, 0)
        assert await served.metric("captions_errors_total", code=code) == 1


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
@pytest.mark.parametrize("what", BAD)
async def test_a_bad_message(served: Served, what: str, encoding: Encoding) -> None:
    fields, code, track = BAD[what]
    if encoding == "msgpack":
        data = {"data": b""} if "data" in fields else {}
        await with_a_good_track(served, encoding, packed(fields | data), code, track)
    else:
        await with_a_good_track(served, encoding, json.dumps(fields), code, track)


@pytest.mark.parametrize("what", BAD_BYTES)
async def test_bytes_that_are_no_message(served: Served, what: str) -> None:
    await with_a_good_track(served, "msgpack", BAD_BYTES[what], "bad_message", None)


@pytest.mark.parametrize("what", BAD_TEXT)
async def test_text_that_is_no_message(served: Served, what: str) -> None:
    await with_a_good_track(served, "json", BAD_TEXT[what], "bad_message", None)


@pytest.mark.parametrize(
    ("start", "data"),
    [
        (Start("daily", "bad", "opus", live=False), b"\x03"),
        (Start("daily", "bad", "opus", live=False), b"\xff" * 40),
        (Start("daily", "bad", "opus", live=False), b""),
        (Start("daily", "bad", "pcm_s16le", None, 24_000, live=False), b"\x00\x01\x02"),
        (Start("daily", "bad", "pcm_f32le", None, 24_000, 2, live=False), np.full(3, 0.5, "<f4").tobytes()),
        (Start("daily", "bad", "pcm_f32le", None, 24_000, live=False), np.full(1_920, np.nan, "<f4").tobytes()),
    ],
    ids=["Opus cut", "corrupt Opus", "empty Opus", "odd bytes", "odd samples", "not a number"],
)
async def test_audio_that_cannot_be_decoded(served: Served, start: Start, data: bytes) -> None:
    frames = saying(1, 2, 3, 4)
    async with served.talker() as client:
        await client.send(started("good"), start)
        await client.speak("good", frames[:6])
        if start.codec == "opus":
            await client.send(Audio("bad", OpusEncoder().encode(np.full(960, 0.1, np.float32)), level=20))
        await client.send(Audio("bad", data))
        error = await client.hear(Error)
        assert (error.code, error.track, error.fatal) == ("bad_audio", "bad", False)
        await client.speak("good", frames[6:])
        assert await client.stop("good") == "w1 w2 w3 w4"
        assert await client.stop("bad") == ""
        assert len(client.errors()) == 1


async def test_a_damaged_packet_does_not_end_its_track(served: Served) -> None:
    async with served.talker() as client:
        await client.send(started("t1"))
        await client.speak("t1", saying(1, 2, 3))
        await client.send(Audio("t1", b"\x00\x01\x02"))
        await client.speak("t1", saying(1, 2, 3, 4, 5, 6)[9:])
        assert await client.stop("t1") == "w1 w2 w3 w4 w5 w6"
        assert [error.code for error in client.errors()] == ["bad_audio"]


async def test_raw_audio_that_fits_no_track(served: Served) -> None:
    async with served.talker("json") as client:
        await client.send(Ping("1"))
        await client.connection.send(pcm_f32le(silence(1)[0]))
        assert (await client.hear(Error)).code == "unknown_track"
        await client.send(started("t1"), started("t2"))
        await client.connection.send(pcm_f32le(silence(1)[0]))
        assert (await client.hear(Error)).code == "unknown_track"


async def test_audio_behind_a_stop(served: Served) -> None:
    async with served.talker() as client:
        await client.say("t1", saying(1, 2, 3))
        await client.speak("t1", silence(1))
        error = await client.hear(Error)
        assert (error.code, error.track) == ("unknown_track", "t1")


async def test_the_first_message_may_be_bad(served: Served) -> None:
    async with served.talker("json") as client:
        await client.connection.send("hello")
        assert (await client.hear(Error)).code == "bad_message"
        assert await client.say("t1", saying(1, 2, 3)) == "w1 w2 w3"


async def test_a_good_participant_is_asked_for_an_id(served: Served) -> None:
    async with served.talker("json") as client:
        await client.connection.send(json.dumps(START | {"participant": {"name": "Zoé"}}))
        assert (await client.hear(Error)).code == "bad_message"
        await client.send(Start("daily", "bad", "opus", Participant("p")))
        await client.hear(Started)


async def test_an_oversized_message_ends_its_connection_and_no_other() -> None:
    async with serving(limits={"message_bytes": 100_000}) as served, served.talker() as good:
        await good.send(started("good"))
        await good.speak("good", saying(1, 2))
        async with served.talker() as huge:
            await huge.send(started("huge"))
            await huge.hear(Started)
            await huge.connection.send(b"\x00" * 100_001)
            with pytest.raises(ConnectionClosed) as closed:
                await huge.hear(Stopped)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
        await good.speak("good", saying(1, 2, 3, 4)[6:])
        assert await good.stop("good") == "w1 w2 w3 w4"
        await served.nothing_held(but=replace(NOTHING, connections=1, publishing=1, sessions=1))


async def test_text_that_is_not_utf_8_ends_its_connection_and_no_other(served: Served) -> None:
    async with served.talker() as good:
        async with connect(f"{served.url}/v1/stream", proxy=None) as connection:
            await connection.send(b"\xff\xfe", text=True)
            with pytest.raises(ConnectionClosed) as closed:
                await connection.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1007
        assert await good.say("good", saying(1, 2, 3)) == "w1 w2 w3"


async def vanish(client: Talker) -> None:
    """The client's machine dies: no closing handshake."""
    client.connection.transport.abort()
    await client.connection.wait_closed()


async def test_a_client_that_vanishes_frees_everything_it_held(served: Served) -> None:
    async with served.talker() as client, connect(f"{served.url}/v1/rooms/daily/captions", proxy=None) as watcher:
        await client.send(*(started(f"t{n}", live=True) for n in range(6)))
        for frame in saying(1, 2, 3, 4):
            await client.send(*(Audio(f"t{n}", pcm_f32le(frame)) for n in range(6)))
        await client.hear(Segment)
        assert (served.server.census().engine.tracks, served.server.census().watchers) == (6, 1)
        await vanish(client)
        watcher.transport.abort()
        await served.nothing_held()
    assert await served.metric("captions_tracks") == 0
    assert await served.metric("captions_tracks_speaking") == 0
    assert await served.metric("captions_connections", route="native") == 0
    assert await served.metric("captions_connections", route="watch") == 0
    assert await served.metric("captions_lanes_in_use") == 0
    assert await served.metric("captions_lanes_busy") == 0
    assert await served.metric("captions_tracks_waiting") == 0


async def test_the_last_words_of_a_client_that_vanishes_still_reach_its_room(served: Served) -> None:
    async with served.talker() as client, connect(f"{served.url}/v1/rooms/daily/captions", proxy=None) as watcher:
        await client.send(started("t1"))
        await client.speak("t1", saying(1, 2, 3))
        await client.hear(Segment)
        await vanish(client)
        segment: dict[str, Any] = {}
        async with asyncio.timeout(PATIENCE_S):
            while not segment.get("final"):
                segment = json.loads(await watcher.recv())
        assert segment["text"] == "w1 w2 w3"
    await served.nothing_held()


async def test_a_client_that_vanishes_while_it_is_held_back_frees_everything() -> None:
    async with serving(ScriptedModel(lanes=1), limits={"pending_audio_s": 0.5}) as served:
        async with served.talker() as holder, served.talker() as waiter:
            await holder.send(started("holds"))
            await holder.speak("holds", saying(1, 2, 3))
            await holder.hear(Segment)
            await waiter.send(started("waits"))
            speaking = asyncio.create_task(waiter.speak("waits", saying(*range(20))))
            await waiter.hear(Started)
            await until(lambda: served.server.census().engine.scheduled_tracks == 2)
            await vanish(waiter)
            await asyncio.gather(speaking, return_exceptions=True)
            assert await holder.stop("holds") == "w1 w2 w3"
        await served.nothing_held()


async def test_who_only_connects_and_leaves_holds_nothing(served: Served) -> None:
    async with served.talker():
        pass
    async with served.talker() as client:
        await client.send(Ping("1"))
        await client.hear(Pong)
    await served.nothing_held()
