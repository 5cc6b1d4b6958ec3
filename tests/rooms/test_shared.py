"""Rooms over a real Redis: what is said at one node is watched, read and come back to at another."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
import redis

from captions.config import RoomsConfig
from captions.metrics import Metrics
from captions.rooms.bus import Bus
from captions.rooms.outgoing import Entry
from captions.rooms.position import Position
from captions.rooms.rooms import RoomFull, RoomsAway
from captions.rooms.shared import SharedRooms
from captions.stream.captions import CaptionWord, Latency, Participant, Segment
from tests.redis_server import RedisServer, needs_redis, redis_server

pytestmark = needs_redis

PATIENCE_S = 30.0
MISSED = ("missed", 0)


class Screen:
    """A watcher that keeps what it is shown, as (id, revision)."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, int]] = []
        self.segments: list[Segment] = []
        self.position = Position(0, 0)

    def send(self, payload: str, of: str | None = None) -> None:
        """What is told besides is a gap, as ("missed", 0)."""
        message = json.loads(payload)
        self.shown.append((message["id"], message["revision"]) if message["type"] == "segment" else MISSED)
        if message["type"] == "segment":
            self.segments.append(msgspec.convert(message, Segment))
        if "position" in message:
            self.position = Position.parse(message["position"])

    async def shows(self, *wanted: tuple[str, int]) -> None:
        """Wait until exactly this was shown."""
        try:
            await until(lambda: len(self.shown) >= len(wanted))
        finally:
            assert self.shown == list(wanted)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 -- another process brings it about
            await asyncio.sleep(0.002)


async def kept(rooms: SharedRooms, room: str) -> list[str]:
    """The ids in a room's transcript."""
    transcript = await rooms.transcript(room)
    assert transcript is not None
    return [caption.id for caption in transcript.captions()]


def segment(
    name: str, revision: int = 0, *, final: bool = False, room: str = "daily", text: str = "It was", track: str = "t"
) -> Segment:
    words = [CaptionWord(word, 1.0, 1.5) for word in text.split()]
    return Segment(room, track, Participant("p", "Zoé"), name, revision, final, 1.0, 2.0, text, words, Latency())


@asynccontextmanager
async def node(
    url: str,
    name: str,
    *,
    history: int = 50,
    forget_after_s: float = 600.0,
    most_entries: int = 12_000,
    room_bytes: int = 16 << 20,
    waiting_bytes: int = 1 << 20,
    watchers: int = 10,
    metrics: Metrics | None = None,
) -> AsyncIterator[SharedRooms]:
    config = RoomsConfig(history_segments=history, forget_after_s=forget_after_s)
    bus = Bus(url, forget_after_s, most_entries, room_bytes)
    rooms = SharedRooms(config, watchers, bus, name, metrics or Metrics(), waiting_bytes)
    await rooms.start()
    try:
        yield rooms
    finally:
        await rooms.stop()
        assert not rooms.failed


@pytest.fixture
async def clean() -> AsyncIterator[RedisServer]:
    async with redis_server() as started:
        yield started


def watching(of: SharedRooms, room: str = "daily", since: Position | None = None) -> Screen:
    screen = Screen()
    of.watch(room, screen, 0.0, since)
    return screen


async def test_what_is_said_at_one_node_is_watched_at_another(clean: RedisServer) -> None:
    async with node(clean.url, "a") as a, node(clean.url, "b") as b:
        a.publish(segment("0", final=True), 0.0)
        here, there, elsewhere = watching(a), watching(b), watching(b, "weekly")
        await there.shows(("0", 0))
        for revision in (segment("s", 0), segment("s", 1), segment("s", 2, final=True)):
            a.publish(revision, 0.0)
            await until(lambda: there.shown[-1] == here.shown[-1])
        await there.shows(("0", 0), ("s", 0), ("s", 1), ("s", 2))
        await here.shows(("0", 0), ("s", 0), ("s", 1), ("s", 2))
        b.publish(segment("t", 0, final=True), 0.0)
        await here.shows(("0", 0), ("s", 0), ("s", 1), ("s", 2), ("t", 0))
        await there.shows(("0", 0), ("s", 0), ("s", 1), ("s", 2), ("t", 0))
        assert elsewhere.shown == []


async def test_who_comes_late_is_shown_the_history_of_all_nodes(clean: RedisServer) -> None:
    async with node(clean.url, "a", history=2) as a, node(clean.url, "b", history=2) as b:
        for name in ("1", "2"):
            a.publish(segment(name, 0), 0.0)
            a.publish(segment(name, 1, final=True), 0.0)
        await until(lambda: a.is_up)
        b.publish(segment("3", 4, final=True), 0.0)
        b.publish(segment("4", 0), 0.0)
        with redis.Redis(port=clean.port) as client:
            await until(lambda: client.xlen(*client.keys("*:room:daily")) == 6)
        await watching(b).shows(("2", 1), ("3", 4), ("4", 0))
        await watching(a).shows(("2", 1), ("3", 4), ("4", 0))


async def test_between_history_and_what_comes_next_is_no_hole_and_no_repetition(clean: RedisServer) -> None:
    async with node(clean.url, "a", history=1_000) as a, node(clean.url, "b", history=1_000) as b:
        screens: list[Screen] = []
        for number in range(400):
            a.publish(segment(f"a{number:04}", final=True), 0.0)
            b.publish(segment(f"b{number:04}", final=True), 0.0)
            if number % 40 == 20:
                screens.append(watching(a if number % 80 == 20 else b))
            await asyncio.sleep(0.001 if number % 7 == 0 else 0)
        everything = sorted((f"{who}{number:04}", 0) for who in "ab" for number in range(400))
        for screen in screens:
            await until(lambda screen=screen: len(screen.shown) >= 800)  # type: ignore[misc]
            assert sorted(screen.shown) == everything


async def test_a_node_that_is_behind_shows_the_newest_of_each_segment_and_every_last_word(clean: RedisServer) -> None:
    metrics = Metrics()
    bus = Bus(clean.url, 600.0, 12_000, 16 << 20)
    async with node(clean.url, "b", metrics=metrics) as there:
        screen = watching(there)
        await there.shown("daily", screen)
        said = [
            *(segment("a", revision) for revision in range(3)),
            segment("b", 0),
            segment("a", 3, final=True),
            segment("b", 2),
            segment("b", 1),
            segment("c", 0),
        ]
        await bus.append("a", [Entry("daily", one.id, msgspec.json.encode(one).decode()) for one in said])
        await screen.shows(("a", 3), ("b", 2), ("c", 0))
        assert screen.position == (await bus.before("daily", None, 1))[0][0]
    await bus.close()
    assert metrics.registry.get_sample_value("captions_revisions_skipped_total", {"behind": "node"}) == 5


async def test_who_comes_back_to_another_node_gets_the_rest(clean: RedisServer) -> None:
    async with node(clean.url, "a") as a, node(clean.url, "b") as b:
        screen = watching(a)
        a.publish(segment("1", 0, final=True), 0.0)
        await screen.shows(("1", 0))
        b.publish(segment("2", 0), 0.0)
        await screen.shows(("1", 0), ("2", 0))
        a.leave("daily", screen)
        for revision in (segment("2", 1), segment("2", 2, final=True), segment("3", 0)):
            b.publish(revision, 0.0)
        again = watching(b, since=screen.position)
        await again.shows(("2", 2), ("3", 0))
        b.leave("daily", again)
        a.publish(segment("4", 0, final=True), 0.0)
        back = watching(a, since=again.position)
        await until(lambda: ("4", 0) in back.shown)
        just_said = {("2", 2), ("3", 0)}
        assert set(back.shown) - just_said == {("4", 0)}, "at most what had just been said comes again"


async def test_many_who_come_back_while_everybody_speaks_have_everything_once(clean: RedisServer) -> None:
    async with node(clean.url, "a", watchers=100) as a, node(clean.url, "b", watchers=100) as b:
        seen: list[list[tuple[str, int]]] = []
        last = {("a0299", 0), ("b0299", 0)}

        async def come_and_go(number: int) -> None:
            shown: list[tuple[str, int]] = []
            since = None
            for turn in range(6):
                at = (a, b)[(number + turn) % 2]
                screen = watching(at, since=since)
                await until(lambda: len(screen.shown) >= 5 if turn < 5 else last <= {*screen.shown})  # noqa: B023
                at.leave("daily", screen)
                since = screen.position
                shown += screen.shown
            seen.append(shown)

        a.publish(segment("first", final=True), 0.0)
        goers = [asyncio.create_task(come_and_go(number)) for number in range(8)]
        await asyncio.sleep(0.1)
        for number in range(300):
            a.publish(segment(f"a{number:04}", final=True), 0.0)
            b.publish(segment(f"b{number:04}", final=True), 0.0)
            await asyncio.sleep(0.002)
        await asyncio.gather(*goers)
        everything = {(f"{who}{number:04}", 0) for who in "ab" for number in range(300)}
        for shown in seen:
            assert set(shown) - {("first", 0)} == everything


async def test_who_comes_back_after_the_history_has_gone_is_told(clean: RedisServer) -> None:
    async with node(clean.url, "a", most_entries=100) as a:
        screen = watching(a)
        a.publish(segment("first", final=True), 0.0)
        await screen.shows(("first", 0))
        await until(lambda: a.is_up)
        for number in range(1_000):
            a.publish(segment(f"{number:04}", final=True), 0.0)
            if number % 50 == 0:
                await asyncio.sleep(0.005)
        await until(lambda: len(screen.shown) >= 1_001)
        late = watching(a, since=Position(1, 0))
        await until(lambda: ("0999", 0) in late.shown)
        assert late.shown[0] == MISSED


async def test_a_room_takes_no_more_of_redis_than_it_may_and_its_newest_stays(clean: RedisServer) -> None:
    async with node(clean.url, "a", room_bytes=200_000) as a:
        for number in range(1_000):
            a.publish(segment(f"{number:04}", final=True, text="x" * (4_000 if number % 100 == 0 else 400)), 0.0)
            if number % 50 == 0:
                await asyncio.sleep(0.005)
        with redis.Redis(port=clean.port) as client:
            await until(lambda: "0999" in str(client.xrevrange(client.keys("*:room:*")[0], count=1)))
            (key,) = client.keys("*:room:*")
            assert client.memory_usage(key) <= 250_000, (
                "Redis knows it about: by a few of the pieces it keeps a room in"
            )
            assert client.xlen(key) > 100
        assert "0999" in await kept(a, "daily")


async def test_a_room_is_measured_once_a_sixteenth_of_what_it_may_have(clean: RedisServer) -> None:
    bus = Bus(clean.url, 600.0, 12_000, 16 * 2_000)
    said = Entry("daily", "s", "x" * 468)
    for _ in range(9):
        await bus.append("a", [said, said])
    await bus.close()
    with redis.Redis(port=clean.port) as client:
        assert client.info("commandstats")["cmdstat_memory|usage"]["calls"] == 5
        assert client.xlen(client.keys("*:room:*")[0]) == 18


async def test_a_room_that_redis_will_not_take_silences_no_other(clean: RedisServer) -> None:
    metrics = Metrics()
    async with node(clean.url, "a", metrics=metrics) as a, node(clean.url, "b") as b:
        there = watching(b)
        a.publish(segment("1", final=True, room="weekly"), 0.0)
        with redis.Redis(port=clean.port) as client:
            await until(lambda: bool(client.keys("*:room:weekly")))
            (key,) = client.keys("*:room:weekly")
            client.set(key, "not a stream")
        for number in range(3):
            a.publish(segment(f"w{number}", final=True, room="weekly"), 0.0)
            a.publish(segment(f"d{number}", final=True), 0.0)
        await there.shows(*((f"d{number}", 0) for number in range(3)))
        await until(lambda: metrics.registry.get_sample_value("captions_bus_lost_total") == 3)


async def test_transcripts_outlive_the_nodes(clean: RedisServer) -> None:
    async with node(clean.url, "a") as a, node(clean.url, "b") as b:
        a.publish(segment("1", 0, final=True), 0.0)
        while await kept(b, "daily") != ["1"]:  # noqa: ASYNC110 -- another process brings it about
            await asyncio.sleep(0.002)
        b.publish(segment("2", 3, final=True), 0.0)
        b.publish(segment("3", 0), 0.0)
    async with node(clean.url, "c") as c:
        assert await kept(c, "daily") == ["1", "2"]
        assert await kept(c, "nobody was here") == []


async def test_a_room_is_kept_for_its_time_after_the_last_word_and_in_one_slot(clean: RedisServer) -> None:
    async with node(clean.url, "a", forget_after_s=50.0) as a:
        a.publish(segment("1", final=True), 0.0)
        await until(lambda: a.is_up)
    with redis.Redis(port=clean.port) as client:
        (key,) = client.keys("*:room:*")
        assert 50_000 < client.pttl(key) <= 52_500
        assert key.startswith(b"captions:{")


async def test_a_full_room_takes_no_more_until_somebody_leaves(clean: RedisServer) -> None:
    async with node(clean.url, "a", watchers=1) as a:
        first = watching(a)
        with pytest.raises(RoomFull, match="daily"):
            watching(a)
        a.leave("daily", first)
        assert (a.watchers, len(a)) == (0, 0)
        watching(a)


async def test_rooms_that_come_and_go_leave_nothing(clean: RedisServer) -> None:
    async with node(clean.url, "a", forget_after_s=1.0) as a:
        for number in range(50):
            screen = watching(a, f"r{number}")
            a.publish(segment("s", final=True, room=f"r{number}"), 0.0)
            await screen.shows(("s", 0))
            a.leave(f"r{number}", screen)
        with redis.Redis(port=clean.port) as client:
            await until(lambda: client.scard("captions:{nodes}:a:rooms") == 50 and a.is_up)
            await asyncio.sleep(0.05)
            a.forget_idle(1.1)
            assert (len(a), a.watchers) == (0, 0)
            await until(lambda: not client.keys("*:room:*"))
            a.publish(segment("s", final=True, room="another"), 0.0)
            await until(lambda: client.smembers("captions:{nodes}:a:rooms") == {b"another"})


async def test_when_redis_is_away_who_watches_here_notices_nothing_and_the_rest_comes_when_it_is_back() -> None:
    async with redis_server() as server:
        metrics = Metrics()
        async with node(server.url, "a", metrics=metrics) as a, node(server.url, "b") as b:
            here, there = watching(a), watching(b)
            a.publish(segment("1", final=True), 0.0)
            await there.shows(("1", 0))
            await server.kill()
            for revision in range(5):
                a.publish(segment("2", revision, final=revision == 4), 0.0)
            assert here.shown == [("1", 0), *(("2", revision) for revision in range(5))]
            late_here = watching(a)
            await late_here.shows(("1", 0), ("2", 4))
            await until(lambda: not a.is_up)
            with pytest.raises(RoomsAway):
                await a.transcript("daily")
            await server.start()
            await until(lambda: ("2", 4) in there.shown)
            assert {("1", 0), ("2", 4)} <= set(there.shown) <= {MISSED, ("1", 0), *(("2", n) for n in range(5))}
            a.publish(segment("3", final=True), 0.0)
            await until(lambda: all(("3", 0) in screen.shown for screen in (here, there, late_here)))
            assert here.shown.count(("2", 4)) == late_here.shown.count(("2", 4)) == 1
            await until(lambda: metrics.registry.get_sample_value("captions_bus_waiting_bytes") == 0)


async def test_a_redis_that_hangs_holds_up_nobody() -> None:
    async with redis_server() as server, node(server.url, "a") as a, node(server.url, "b") as b:
        here, there = watching(a), watching(b)
        a.publish(segment("1", final=True), 0.0)
        await there.shows(("1", 0))
        server.freeze()
        began_at, turns = time.monotonic(), 0
        while time.monotonic() - began_at < 1.5:
            a.publish(segment("2", turns), 0.0)
            turns += 1
            await asyncio.sleep(0.01)
        server.thaw()
        a.publish(segment("2", turns, final=True), 0.0)
        assert here.shown[-1] == ("2", turns)
        await until(lambda: ("2", turns) in there.shown)
        assert there.shown.count(("2", turns)) == 1


async def test_what_does_not_fit_while_redis_is_away_is_told() -> None:
    async with redis_server() as server:
        metrics = Metrics()
        async with node(server.url, "a", metrics=metrics, waiting_bytes=20_000) as a, node(server.url, "b") as b:
            there = watching(b)
            a.publish(segment("first", final=True), 0.0)
            await there.shows(("first", 0))
            await server.kill()
            for number in range(200):
                a.publish(segment(f"{number:04}", final=True, text="x" * 500), 0.0)
            await until(lambda: not a.is_up)
            await server.start()
            await until(lambda: ("0199", 0) in there.shown and MISSED in there.shown)
            assert ("0000", 0) not in there.shown
            assert (metrics.registry.get_sample_value("captions_bus_lost_total") or 0) >= 100


async def test_nonsense_in_a_stream_is_passed_over(clean: RedisServer) -> None:
    async with node(clean.url, "a") as a:
        screen = watching(a)
        a.publish(segment("1", final=True), 0.0)
        await until(lambda: a.is_up)
        with redis.Redis(port=clean.port) as client:
            await until(lambda: bool(client.keys("*:room:*")))
            (key,) = client.keys("*:room:*")
            for fields in ({"x": "y"}, {"n": "z", "s": "{"}, {"n": "z", "s": b"\xff"}):
                client.xadd(key, fields)
            a.publish(segment("2", final=True), 0.0)
            await until(lambda: client.xlen(key) == 5)
        await screen.shows(("1", 0), ("2", 0))
        assert await kept(a, "daily") == ["1", "2"]
