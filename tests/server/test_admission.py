"""Places for connections: none for those who have too many, always some for publishers, silent ones go first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from captions.config import LimitsConfig
from captions.doors.grant import ANYTHING, Grant, Right
from captions.doors.native.messages import Error, Started
from captions.server.admission import Admission, NoPlace, address_of
from captions.server.doorstep import Doorstep
from tests.server.harness import Served, serving, started, until
from tests.speech import saying

FEW = Grant("publisher", Right.PUBLISH, holder="few", connections=2)
PROXIES = ("10.0.0.1",)


def entered(admission: Admission, addresses: list[str], grant: Grant = ANYTHING, *, watches: bool = False) -> int:
    """How many of them found a place."""
    places = 0
    for address in addresses:
        try:
            admission.enter(address, grant, watches=watches)
        except NoPlace:
            continue
        places += 1
    return places


def test_an_address_a_holder_and_watchers_have_no_more_than_their_own() -> None:
    admission = Admission(LimitsConfig(connections=8, connections_per_address=3, watchers_share=0.5))
    assert entered(admission, ["a"] * 5) == 3
    assert entered(admission, ["b", "c", "d"], FEW) == 2
    assert entered(admission, ["e", "f", "g", "h", "i"], watches=True) == 3
    assert (admission.connections, admission.is_full, admission.share, admission.watchers_share) == (8, True, 1.0, 0.75)


def test_watchers_leave_room_for_publishers() -> None:
    admission = Admission(LimitsConfig(connections=8, watchers_share=0.5))
    assert entered(admission, ["a"] * 8, watches=True) == 4
    assert entered(admission, ["a"] * 8) == 4


def test_a_place_is_free_again_once_and_only_once() -> None:
    admission = Admission(LimitsConfig(connections=1))
    place = admission.enter("a", FEW, watches=True)
    place.leave()
    place.leave()
    assert (admission.connections, admission.watchers_share) == (0, 0.0)
    assert entered(admission, ["a"], FEW) == 1


@pytest.mark.parametrize(
    ("peer", "headers", "address"),
    [
        ("192.0.2.1", {}, "192.0.2.1"),
        ("192.0.2.1", {"X-Forwarded-For": "198.51.100.7"}, "192.0.2.1"),
        ("10.0.0.1", {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}, "198.51.100.7"),
        ("10.0.0.1", {}, "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", {}, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", {}, "192.0.2.1"),
        ("", {}, ""),
        ("10.0.0.1", {"X-Forwarded-For": "x" * 9_000}, "x" * 64),
    ],
)
def test_whose_connection_it_is(peer: str, headers: Mapping[str, str], address: str) -> None:
    assert address_of(peer, headers, PROXIES) == address


def test_the_silent_one_that_stood_longest_at_the_fullest_address_goes() -> None:
    closed: list[str] = []
    doorstep = Doorstep(4)
    for address, name in [("a", "a1"), ("b", "b1"), ("b", "b2"), ("b", "b3"), ("c", "c1")]:
        doorstep.arrives(address, name, lambda name=name: closed.append(name))  # type: ignore[misc]
    assert (closed, doorstep.share) == (["b1"], 1.0)
    for name in ("b1", "b2", "c1"):
        doorstep.gone(name)
    assert doorstep.share == 0.5


async def refused(url: str, key: str = "") -> int:
    with pytest.raises(InvalidStatus) as refusal:
        await connected(url, key)
    return refusal.value.response.status_code


async def connected(url: str, key: str = "") -> ClientConnection:
    return await connect(url, additional_headers={"Authorization": f"Bearer {key}"}, proxy=None)


async def test_idle_watchers_keep_no_publisher_out_and_are_seen_in_the_fullness() -> None:
    async with serving(keys={"publish": ["pub"], "watch": ["see"]}, limits={"connections": 4}) as served:
        room = f"{served.url}/v1/rooms/daily/captions"
        idle = [await connected(room, "see") for _ in range(3)]
        assert await refused(room, "see") == 503
        assert await served.get("/readyz") == (200, "100% full")
        assert await served.metric("captions_limit_used", limit="watchers") == 1.0
        async with served.talker(key="pub") as client:
            assert await client.say("t1", saying(1, 2, 3)) == "w1 w2 w3"
            assert await served.get("/readyz") == (503, "100% full")
        for watcher in idle:
            await watcher.close()
        await served.nothing_held()
        assert await served.get("/readyz") == (200, "0% full")


async def test_a_key_has_the_connections_and_tracks_that_it_was_given() -> None:
    key = {"key": "few", "connections": 2, "tracks": 3}
    async with serving(keys={"publish": [key, "other"]}) as served:
        stream = f"{served.url}/v1/stream"
        async with (
            served.talker(key="few") as one,
            served.talker(key="few") as two,
            served.talker(key="other") as other,
        ):
            assert await refused(stream, "few") == 429
            await one.send(started("a"), started("b"))
            await one.hear(Started, lambda message: message.track == "b")
            await two.send(started("c"), started("d"))
            assert (await two.hear(Error)).code == "overloaded"
            assert await other.say("e", saying(1, 2)) == "w1 w2"
            await one.stop("a")
            await two.send(started("d"))
            await two.hear(Started)


async def test_an_address_has_no_more_than_its_own_and_plain_requests_none() -> None:
    async with serving(limits={"connections_per_address": 1}) as served:
        async with served.talker():
            assert await refused(f"{served.url}/v1/stream") == 429
            assert (await served.get("/healthz"))[0] == 200
            assert (await served.get("/v1/rooms/daily/transcript.vtt"))[0] == 200
        await served.nothing_held()
        for _ in range(3):
            assert 400 <= (await served.get("/v1/stream"))[0] < 500
        async with served.talker() as client:
            assert await client.say("t1", saying(1)) == "w1"


async def take_all_tracks_and_vanish(served: Served, tracks: int, name: str) -> None:
    async with served.talker() as greedy:
        await greedy.send(*(started(f"{name}{number}") for number in range(tracks)))
        await greedy.hear(Started, lambda message: message.track == f"{name}{tracks - 1}")
        greedy.connection.transport.abort()


async def test_who_took_all_tracks_and_is_gone_gives_way_at_once() -> None:
    async with serving(limits={"tracks": 4, "resume_s": 3_600.0}) as served:
        await take_all_tracks_and_vanish(served, 4, "greedy")
        await until(lambda: served.server.census().publishing == 0)
        assert (await served.get("/readyz"))[0] == 200
        async with served.talker() as client:
            assert await client.say("t1", saying(1, 2, 3)) == "w1 w2 w3"
        await served.nothing_held()


async def test_silent_connections_keep_nobody_out() -> None:
    async with serving(limits={"handshakes": 5}) as served:
        silent = [await asyncio.open_connection("127.0.0.1", served.server.port) for _ in range(20)]
        async with served.talker() as client:
            assert await client.say("t1", saying(1, 2)) == "w1 w2"
        ends = [asyncio.create_task(reader.read()) for reader, _ in silent]
        await until(lambda: sum(end.done() for end in ends) >= 15)
        for _, writer in silent:
            writer.transport.abort()
