"""Nodes know each other, by a real Redis."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import msgspec
import pytest

from captions.cluster.node import Node, address_of, read_node
from captions.cluster.nodes import Nodes
from captions.config import load
from captions.doors.native.messages import Error, OtherNodes, Ready
from captions.rooms.bus import Bus
from tests.redis_server import RedisServer, needs_redis, redis_server
from tests.server.harness import serving, started

pytestmark = needs_redis


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    async with redis_server() as started:
        yield started


def node(name: str, fullness: float = 0.0, *, draining: bool = False, role: str = "all") -> Node:
    described = Node(name, f"ws://{name}:8080", "all", "m", ("en",), fullness, draining, 0, 0, "1", 0.0)
    told = json.loads(json.dumps({name: getattr(described, name) for name in described.__struct_fields__}))
    found = read_node(json.dumps(told | {"role": role}).encode())
    assert found is not None
    return found


async def nobody_lost(node: str) -> None:
    raise AssertionError(f"{node} was not lost")


async def test_each_node_knows_the_others_and_sends_to_the_emptiest_that_takes_tracks(server: RedisServer) -> None:
    told = [node("a"), node("b", 0.5), node("c", 0.1, draining=True), node("d", 0.0, role="watch"), node("e", 0.3)]
    bus = Bus(server.url, 60.0, 1_000, 1 << 20)
    all_nodes = [Nodes(bus, this.id, lambda this=this: this, nobody_lost) for this in told]  # type: ignore[misc]
    for nodes in all_nodes:
        await nodes.start()
    await all_nodes[0].tell()
    assert [other.id for other in all_nodes[0].all()] == ["a", "d", "e", "b", "c"]
    assert all_nodes[0].elsewhere() == "ws://e:8080"
    await all_nodes[4].stop()
    await all_nodes[0].tell()
    assert all_nodes[0].elsewhere() == "ws://b:8080"
    await all_nodes[1].stop()
    await all_nodes[0].tell()
    assert all_nodes[0].elsewhere() is None
    for nodes in all_nodes:
        await nodes.stop()
    await bus.close()


async def test_those_named_before_stay_named_as_long_as_they_take_tracks(server: RedisServer) -> None:
    bus = Bus(server.url, 60.0, 1_000, 1 << 20)
    changes = []
    here = Nodes(bus, "a", lambda: node("a"), nobody_lost, lambda: changes.append(here.others()))
    there = {
        name: Nodes(bus, name, lambda name=name, full=full: node(name, full), nobody_lost)  # type: ignore[misc]
        for name, full in {"b": 0.5, "c": 0.1, "d": 0.3, "e": 0.2}.items()
    }
    await there["b"].start()
    await here.start()
    named = here.others()
    for name in "cde":
        await there[name].start()
    await here.tell()
    assert here.others() == ["ws://c:8080", "ws://e:8080", "ws://d:8080"]
    assert here.others(named) == ["ws://b:8080", "ws://c:8080", "ws://e:8080"]
    await there["b"].stop()
    await here.tell()
    assert here.others(named) == here.others() == changes[-1]
    await here.tell()
    assert len(changes) == 3
    for nodes in (here, *there.values()):
        await nodes.stop()
    await bus.close()


async def test_clients_are_told_when_there_are_other_nodes_than_they_know(server: RedisServer) -> None:
    cluster = {"redis": server.url}
    async with serving(cluster=cluster) as first, first.talker() as client:
        await client.send(started("t"))
        assert (await client.hear(Ready)).nodes == []
        async with serving(cluster=cluster) as second:
            assert (await client.hear(OtherNodes)).nodes == [second.url]
        assert (await client.hear(OtherNodes)).nodes == []


async def test_many_who_are_sent_away_at_once_are_not_all_sent_to_one_node(server: RedisServer) -> None:
    bus = Bus(server.url, 60.0, 1_000, 1 << 20)
    one, two, full = [
        Nodes(bus, this.id, lambda this=this: this, nobody_lost)  # type: ignore[misc]
        for this in (node("b", 0.2), node("c", 0.21), node("a", 1.0))
    ]
    for nodes in (one, two, full):
        await nodes.start()
    await full.tell()
    assert {full.elsewhere() for _ in range(4)} == {"ws://b:8080", "ws://c:8080"}
    for nodes in (one, two, full):
        await nodes.stop()
    await bus.close()


async def test_a_node_that_stops_names_another_even_if_all_are_full(server: RedisServer) -> None:
    bus = Bus(server.url, 60.0, 1_000, 1 << 20)
    told = (node("a", draining=True), node("b", 1.0), node("c", 0.0, role="watch"), node("d", 1.0))
    stopping, full, *others = [
        Nodes(bus, this.id, lambda this=this: this, nobody_lost)  # type: ignore[misc]
        for this in told
    ]
    for nodes in (full, *others, stopping):
        await nodes.start()
    await full.tell()
    assert {stopping.elsewhere() for _ in range(4)} == {"ws://b:8080", "ws://d:8080"}
    assert full.elsewhere() is None
    for nodes in (stopping, full, *others):
        await nodes.stop()
    await bus.close()


async def test_another_front_of_the_same_machine_is_a_refuge_but_nowhere_to_be_sent(server: RedisServer) -> None:
    bus = Bus(server.url, 60.0, 1_000, 1 << 20)
    told = [msgspec.structs.replace(node(name), address="ws://machine:8080") for name in "ab"]
    one, two = [Nodes(bus, this.id, lambda this=this: this, nobody_lost) for this in told]  # type: ignore[misc]
    await one.start()
    await two.start()
    assert (two.elsewhere(), two.others()) == (None, ["ws://machine:8080"])
    await one.stop()
    await two.stop()
    await bus.close()


async def test_a_node_alone_lists_itself() -> None:
    async with serving() as served:
        status, body = await served.get("/v1/nodes")
        [alone] = json.loads(body)
        assert (status, alone["role"], alone["draining"], alone["address"]) == (200, "all", False, served.url)
        assert served.server.census().watchers == 0


async def test_the_list_of_nodes_is_for_who_may_publish_everywhere() -> None:
    keys = {"publish": ["pub", {"key": "team", "rooms": "team-"}], "watch": ["see"]}
    async with serving(keys=keys) as served:
        for key, status in (("pub", 200), ("team", 401), ("see", 401), ("", 401)):
            assert (await served.get("/v1/nodes", {"Authorization": f"Bearer {key}"}))[0] == status


async def test_a_full_node_and_one_that_stops_name_another(server: RedisServer) -> None:
    cluster = {"redis": server.url}
    async with (
        serving(cluster=cluster, limits={"tracks": 1}) as full,
        serving(cluster=cluster) as empty,
        full.talker() as client,
    ):
        while len(json.loads((await full.get("/v1/nodes"))[1])) < 2:
            pass
        await client.send(started("one"), started("two"))
        refused = await client.hear(Error)
        assert (refused.code, refused.track, refused.node) == ("overloaded", "two", empty.url)


def test_a_node_says_where_it_listens_unless_told_otherwise() -> None:
    assert address_of(load(None), 9_000) == "ws://127.0.0.1:9000"
    told = load(None, {}, {"cluster": {"address": "wss://captions.example.org"}})
    assert address_of(told, 9_000) == "wss://captions.example.org"
    everywhere = load(None, {}, {"server": {"host": "0.0.0.0"}, "keys": {"publish": ["k"]}})
    assert "0.0.0.0" not in address_of(everywhere, 9_000)


def test_what_is_no_node_is_none() -> None:
    assert [read_node(payload) for payload in (b"", b"{}", b"\xff", b"[1]")] == [None] * 4
