"""Watching a room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from captions.client import ConnectError, watch
from captions.doors.native.messages import (
    CaptionWord,
    GapNotice,
    Heartbeat,
    Latency,
    Missed,
    Participant,
    Ping,
    Pong,
    Segment,
    ServerMessage,
    SpeechNotice,
    Uncaptioned,
    Watching,
    decode_server,
)
from captions.models.scripted import ScriptedModel
from tests.server.harness import PATIENCE_S, Served, serving, started, until
from tests.speech import saying, silence


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as server:
        yield server


async def seen(watcher: ClientConnection) -> Segment:
    """The next segment."""
    while True:
        if isinstance(message := await told(watcher), Segment):
            return message


async def told(watcher: ClientConnection) -> ServerMessage:
    """The next message."""
    async with asyncio.timeout(PATIENCE_S):
        payload = await watcher.recv()
    assert isinstance(payload, str), "watchers get JSON"
    return decode_server(payload)


async def drained(watcher: ClientConnection) -> None:
    while True:
        await seen(watcher)


def room(served: Served, name: str = "daily", query: str = "") -> str:
    return f"{served.url}/v1/rooms/{name}/captions{query}"


async def test_a_watcher_sees_every_revision_the_publisher_is_sent(served: Served) -> None:
    async with served.talker() as client, connect(room(served), proxy=None) as watcher:
        await until(lambda: served.server.census().watchers == 1)
        await client.say("t1", saying(1, 2, 3, 4) + silence(12), name="Zoé")
        sent = [message for message in client.said if isinstance(message, Segment)]
        assert [msgspec.structs.replace(await seen(watcher), position="") for _ in sent] == sent
        assert len(sent) > 2


async def test_a_late_watcher_sees_what_was_said_and_what_is_being_said() -> None:
    async with serving(vad={"hangover_s": 60.0}) as served, served.talker() as client:
        await client.say("t1", saying(1, 2, 3))
        await client.send(started("t2"))
        await client.speak("t2", saying(4, 5, 6, 7, 8))
        await client.hear(Segment, lambda s: s.track == "t2" and len(s.words) == 3)
        async with connect(room(served), proxy=None) as late:
            first, second = await seen(late), await seen(late)
            assert (first.track, first.text, first.final) == ("t1", "w1 w2 w3", True)
            assert (second.track, second.text, second.final) == ("t2", "w4 w5 w6", False)
            assert await client.stop("t2") == "w4 w5 w6 w7 w8"
            third = await seen(late)
            assert (third.id, third.revision) == (second.id, second.revision + 1)


async def test_a_watcher_is_told_what_is_heard_then_the_history_and_that_it_is_over(served: Served) -> None:
    async with served.talker() as client:
        await client.say("t1", saying(1, 2, 3))
    async with connect(room(served), proxy=None) as late:
        first, segment, beat = [await told(late) for _ in range(3)]
    assert first == Watching("daily", ["und"], 10.0)
    assert isinstance(segment, Segment)
    assert isinstance(beat, Heartbeat)
    assert 0 <= beat.sent_at - segment.said_at < PATIENCE_S


async def test_the_server_shows_that_it_is_there_while_nobody_speaks(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captions.server.connections._HEARTBEAT_S", 0.01)
    async with connect(room(served), proxy=None) as watcher:
        assert [type(await told(watcher)) for _ in range(4)] == [Watching, Heartbeat, Heartbeat, Heartbeat]


async def test_speech_that_no_lane_was_free_for_is_missing_for_the_room_and_in_its_transcript() -> None:
    late_s = 0.0
    one_lane = serving(
        ScriptedModel(lanes=1), lambda: time.monotonic() + late_s, lanes={"wait_s": 1.0}, vad={"hangover_s": 30.0}
    )
    async with one_lane as served, served.talker() as client, watch(served.url, "daily") as captions:
        await client.send(started("first", live=True))
        await client.speak("first", saying(1, 2, 3))
        await client.hear(Segment)
        await client.send(started("waits", live=True))
        await client.speak("waits", saying(*range(10, 20)))
        await client.hear(SpeechNotice, lambda notice: notice.track == "waits")
        while not any(isinstance(said, GapNotice) for said in client.said):
            late_s += 1.0
            await client.speak("first", saying(4))
            await client.send(Ping(f"{late_s} s later"))
            await client.hear(Pong)
            await asyncio.sleep(0.05)
        await client.speak("waits", saying(20, 21))
        await client.stop("first")
        await client.stop("waits")
        missing = None
        async with asyncio.timeout(PATIENCE_S):
            async for caption in captions:
                if isinstance(caption, Uncaptioned):
                    missing = caption
                elif isinstance(caption, Segment) and caption.track == "waits" and caption.text.endswith("w21"):
                    break
        told_s = sum(gap.end - gap.start for gap in client.said if isinstance(gap, GapNotice))
        assert missing is not None
        assert (missing.room, missing.track, missing.reason) == ("daily", "waits", "overload")
        assert missing.end - missing.start == pytest.approx(told_s, abs=0.01)
        late = [said async for said in history(served) if isinstance(said, Uncaptioned)]
        assert late == [msgspec.structs.replace(missing, position="")]
        _, file = await served.get("/v1/rooms/daily/transcript.txt?lang=fr")
        assert f"p-waits: [non sous-titré : {round(told_s)} s]\n" in file


async def history(served: Served) -> AsyncIterator[ServerMessage]:
    """What a late watcher of the room is sent."""
    async with connect(room(served), proxy=None) as late:
        while not isinstance(message := await told(late), Heartbeat):
            yield message


async def test_history_is_as_long_as_configured() -> None:
    async with serving(rooms={"history_segments": 2}) as served, served.talker() as client:
        for number in range(3):
            await client.say(f"t{number}", saying(1, 2, 3))
        async with connect(room(served), proxy=None) as late:
            assert [(await seen(late)).track, (await seen(late)).track] == ["t1", "t2"]


async def test_a_watcher_sees_its_own_room_only(served: Served) -> None:
    async with served.talker() as client, connect(room(served, "weekly"), proxy=None) as watcher:
        await client.say("t1", saying(1, 2, 3), room="daily")
        await client.say("t2", saying(4, 5, 6), room="weekly")
        assert (await seen(watcher)).track == "t2"


@pytest.mark.parametrize("name", ["salle 1/été", "a?b#c%2Fd", "..", "会議"])
async def test_a_room_may_have_any_name(served: Served, name: str) -> None:
    async with served.talker() as client:
        await client.say("t1", saying(1, 2, 3), room=name)
        async with watch(served.url, name) as segments, asyncio.timeout(PATIENCE_S):
            async for segment in segments:
                assert isinstance(segment, Segment)
                assert (segment.room, segment.text) == (name, "w1 w2 w3")
                break


async def test_what_a_watcher_sends_is_not_read(served: Served) -> None:
    async with served.talker() as client, connect(room(served), proxy=None) as watcher:
        await watcher.send("hello")
        await watcher.send(b"\xc1")
        await client.say("t1", saying(1, 2, 3))
        assert (await seen(watcher)).track == "t1"


def caption(number: int) -> Segment:
    text = "x" * 2_000
    return Segment(
        "daily", "t", Participant("p"), f"s{number}", 0, False, 0.0, 1.0, text, [CaptionWord(text, 0.0, 1.0)], Latency()
    )


async def test_a_slow_watcher_is_dropped_and_the_others_see_on() -> None:
    async with serving(limits={"outbox_messages": 5}) as served:
        async with connect(room(served, "slow"), proxy=None) as slow, connect(room(served), proxy=None) as other:
            await until(lambda: served.server.census().watchers == 2)
            numbers = iter(range(1_000_000))

            def dropped_after_one_more() -> bool:
                long = msgspec.structs.replace(caption(next(numbers)), room="slow", text="x" * 50_000)
                served.server.rooms.publish(long, 0.0)
                return served.server.census().watchers == 1

            await until(dropped_after_one_more)
            with pytest.raises(ConnectionClosed):
                await drained(slow)
            served.server.rooms.publish(caption(1), 0.0)
            assert (await seen(other)).id == "s1"
            assert await served.metric("captions_readers_dropped_total", route="watch") == 1
        await served.nothing_held()


async def test_a_watcher_that_reads_nothing_at_all_is_dropped_in_the_end() -> None:
    async with serving(limits={"outbox_messages": 20}) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port, limit=1_000)
        writer.write(
            b"GET /v1/rooms/daily/captions HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await until(lambda: served.server.census().watchers == 1)
        numbers = iter(range(1_000_000))

        def dropped_after_one_more() -> bool:
            served.server.rooms.publish(caption(next(numbers)), 0.0)
            return served.server.census().watchers == 0

        await until(dropped_after_one_more)
        await served.nothing_held()
        writer.close()
        del reader


async def test_a_watcher_that_is_behind_gets_the_newest_of_each_segment_and_every_last_word() -> None:
    async with serving() as served, connect(room(served), proxy=None, max_queue=1) as behind:
        await until(lambda: served.server.census().watchers == 1)
        rooms, revisions = served.server.rooms, 0

        def says(name: str, *, final: bool = False) -> None:
            nonlocal revisions
            revisions += 1
            said = msgspec.structs.replace(caption(0), id=name, revision=revisions, final=final, text="x" * 50_000)
            rooms.publish(said, 0.0)

        while not await served.metric("captions_limit_used", limit="waiting_bytes"):
            for _ in range(20):
                says("first")
        for number in range(20):
            says("first", final=number == 19)
            says("second")
            says(f"third {number}", final=True)
        came: list[tuple[str, int, bool]] = []
        while not came or came[-1][0] != "third 19":
            segment = await seen(behind)
            came.append((segment.id, segment.revision, segment.final))
        numbers = [revision for _, revision, _ in came]
        assert numbers == sorted(numbers), "in the order in which they were said"
        assert [name for name, _, final in came if final] == [
            *(f"third {number}" for number in range(19)),
            "first",
            "third 19",
        ]
        assert sum(name == "second" for name, _, _ in came) == 1
        skipped = await served.metric("captions_revisions_skipped_total", behind="reader")
        assert len(came) + skipped == revisions


async def test_a_full_room_takes_no_more_until_somebody_leaves() -> None:
    async with serving(limits={"watchers_per_room": 1}) as served:
        async with connect(room(served), proxy=None):
            await until(lambda: served.server.census().watchers == 1)
            async with connect(room(served), proxy=None) as second:
                with pytest.raises(ConnectionClosed) as closed:
                    await seen(second)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1013
        await served.nothing_held()
        async with connect(room(served), proxy=None):
            await until(lambda: served.server.census().watchers == 1)


async def test_watch_and_publish_keys_may_watch_and_nobody_else() -> None:
    async with serving(keys={"publish": ["pub"], "watch": ["see"]}) as served:
        for query in ("", "?key=wrong", "?key="):
            with pytest.raises(InvalidStatus) as refused:
                async with connect(room(served, query=query), proxy=None):
                    pass
            assert refused.value.response.status_code == 401
        with pytest.raises(ConnectError):
            async with watch(served.url, "daily", "wrong"):
                pass
        for key in ("pub", "see"):
            async with watch(served.url, "daily", key):
                pass
            async with connect(room(served, query=f"?key={key}"), proxy=None):
                pass


async def test_a_watcher_that_leaves_is_forgotten(served: Served) -> None:
    async with connect(room(served), proxy=None):
        await until(lambda: served.server.census().watchers == 1)
    await served.nothing_held()


async def test_a_publisher_is_not_held_up_by_its_watchers(served: Served) -> None:
    async with served.talker() as client, connect(room(served), proxy=None, max_queue=1) as watcher:
        await client.say("t1", saying(1, 2, 3))
        await client.send(Ping("1"))
        await client.hear(Pong)
        watcher.transport.abort()


async def test_a_watcher_that_comes_back_says_where_it_was_and_gets_the_rest(served: Served) -> None:
    async with served.talker() as client:
        await client.say("t1", saying(1, 2, 3))
        async with watch(served.url, "daily") as captions:
            first = await anext(captions)
        await client.say("t2", saying(4, 5, 6))
        assert isinstance(first, Segment)
        async with watch(served.url, "daily", since=first.position) as captions:
            second = await anext(captions)
            assert isinstance(second, Segment)
            assert (second.track, second.final) == ("t2", True)
        async with watch(served.url, "daily", since="1-1") as captions:
            assert await anext(captions) == Missed()


async def test_a_position_no_server_told_is_refused(served: Served) -> None:
    status, said = await served.get("/v1/rooms/daily/captions?since=yesterday")
    assert (status, said) == (400, "since: a position is two numbers with a hyphen between")
