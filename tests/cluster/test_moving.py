"""A node dies, or stops in a rolling update: its talkers go on at another, and nothing is said twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from captions.client import Client
from captions.doors.native.messages import (
    Error,
    GapNotice,
    Ping,
    Ready,
    Segment,
    Started,
)
from captions.rooms.burial import bury
from captions.rooms.bus import Bus
from tests.client.talk import PAUSE, Talk
from tests.redis_server import RedisServer, needs_redis, redis_server
from tests.rooms.test_shared import Screen, node, segment, until, watching
from tests.server.harness import PATIENCE_S, serving
from tests.server_process import server_process
from tests.speech import saying

pytestmark = needs_redis


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    async with redis_server() as started:
        yield started


async def test_a_rolling_update_costs_no_word_and_says_none_twice(server: RedisServer) -> None:
    async with server_process(server.url) as first, server_process(server.url) as second, Client(first.url) as client:
        await both_known(first.url)
        talk = Talk(client)
        await talk.start()
        await talk.speak([*saying(1, 2, 3), *PAUSE, *saying(4, 5)])
        first.terminate()
        await talk.speak([*saying(6, 7), *PAUSE, *saying(8, 9, 10), *PAUSE])
        assert await first.ended() == 0
        await talk.speak([*saying(11, 12), *PAUSE])
        await talk.stop()
        assert talk.words() == [f"w{number}" for number in range(1, 13)]
        assert [type(said) for said in talk.said].count(Started) == 1
        assert not [said for said in talk.said if isinstance(said, Error | GapNotice)]
        starts = [word.start for said in talk.said if isinstance(said, Segment) and said.final for word in said.words]
        assert starts == sorted(starts), "the track's clock goes on"
        del second


async def test_talkers_of_a_lost_node_go_on_at_another_and_what_it_left_is_closed_once(
    server: RedisServer,
) -> None:
    async with (
        server_process(server.url) as first,
        serving(cluster={"redis": server.url}) as second,
        Client(first.url) as client,
    ):
        screen = Screen()
        second.server.rooms.watch("daily", screen, 0.0)
        await both_known(first.url)
        talk = Talk(client)
        await talk.start()
        await talk.speak([*saying(1, 2, 3), *PAUSE, *saying(4, 5, 6)])
        await until(lambda: "w4" in talk.words())
        await first.kill()
        await talk.speak([*saying(7, 8), *PAUSE, *saying(9, 10), *PAUSE])
        await talk.stop()
        assert talk.words() == [f"w{number}" for number in range(1, 11)], "all of it was still held"
        assert [type(said) for said in talk.said].count(Started) == 1
        opened = {said.id for said in talk.said if isinstance(said, Segment)}
        await until(lambda: {message.id for message in screen.segments if message.final} >= opened)
        interrupted = [message for message in screen.segments if message.interrupted]
        assert len(interrupted) == 1
        assert interrupted[0].final
        async with asyncio.timeout(PATIENCE_S):
            while await second.metric("captions_segments_interrupted_total") != 1:
                pass


async def test_a_full_node_is_left_for_the_one_it_names(server: RedisServer) -> None:
    cluster = {"redis": server.url}
    async with (
        serving(cluster=cluster, limits={"tracks": 1}) as full,
        serving(cluster=cluster) as empty,
        full.talker() as there,
        Client(full.url) as client,
    ):
        await there.say("other", saying(1))
        await both_known(full.url)
        await client.start("daily", "first", "pcm_f32le", 24_000)
        talk = Talk(client)
        await talk.start()
        await talk.speak([*saying(1, 2, 3), *PAUSE])
        await talk.stop()
        assert talk.words() == ["w1", "w2", "w3"]
        assert not [said for said in talk.said if isinstance(said, Error)]
        assert (full.server.census().engine.tracks, empty.server.census().publishing) == (1, 1)


async def test_where_everybody_is_full_the_client_gives_up_and_says_so(server: RedisServer) -> None:
    cluster = {"redis": server.url}
    async with (
        serving(cluster=cluster, limits={"tracks": 1}) as one,
        serving(cluster=cluster, limits={"tracks": 1}) as two,
        Client(one.url) as client,
        Client(two.url) as other,
    ):
        await both_known(one.url)
        await other.start("weekly", "x", "pcm_f32le", 24_000)
        await client.start("daily", "y", "pcm_f32le", 24_000)
        talk = Talk(client)
        await talk.start()
        async with asyncio.timeout(PATIENCE_S):
            while not [said for said in talk.said if isinstance(said, Error)]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        [refused] = [said for said in talk.said if isinstance(said, Error)]
        assert (refused.code, refused.track) == ("overloaded", "ada")


async def test_what_a_node_left_open_is_closed_as_it_stood(server: RedisServer) -> None:
    bus = Bus(server.url, 60.0, 1_000, 1 << 20)
    async with node(server.url, "a") as a, node(server.url, "b") as b, node(server.url, "c") as c:
        a.publish(segment("1", 3, final=True), 0.0)
        a.publish(segment("2", 1), 0.0)
        a.publish(segment("2", 2, text="It was the"), 0.0)
        a.publish(segment("3", 0, room="weekly"), 0.0)
        b.publish(segment("4", 0), 0.0)
        here, there = watching(b), watching(c)
        await until(lambda: ("2", 2) in there.shown and ("4", 0) in there.shown)
        assert await bury("a", bus, b, lambda: 0.0) == 2
        await until(lambda: ("2", 3) in there.shown)
        for screen in (here, there):
            [closed] = [message for message in screen.segments if message.interrupted]
            assert (closed.id, closed.final, closed.text, closed.tentative) == ("2", True, "It was the", "")
        assert await bury("a", bus, b, lambda: 0.0) == 0
    await bus.close()


async def test_a_lost_node_is_seen_to_by_one(server: RedisServer) -> None:
    bus = Bus(server.url, 60.0, 1_000, 1 << 20)
    assert [await bus.claim("a", by, 30.0) for by in "bcd"] == [True, False, False]
    await bus.node_left("a")
    assert await bus.claim("a", "c", 30.0)
    await bus.close()


async def both_known(url: str) -> None:
    """Wait until the node knows the other."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with Client(url) as client:
                await client.send(Ping("1"))
                ready = await anext(aiter(client))
                if isinstance(ready, Ready) and ready.nodes:
                    return
            await asyncio.sleep(0.05)
