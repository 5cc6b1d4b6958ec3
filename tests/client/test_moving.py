"""Where a client takes its tracks when a node sends them away."""

from __future__ import annotations

import asyncio
import gc
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from functools import partial

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from captions.client import Client
from captions.client.link import Link
from captions.doors.native.messages import (
    Draining,
    Error,
    ErrorCode,
    GapNotice,
    Limits,
    OtherNodes,
    Participant,
    Pong,
    Ready,
    Segment,
    ServerMessage,
    SpeechNotice,
    Started,
    Stopped,
    encode,
)
from captions.stream.captions import CaptionWord, Latency
from tests.server.harness import PATIENCE_S, serving, until

POISON = b"\x01" * 4 * 1_920
LIMITS = Limits(1 << 20, 1, 30.0, 0.0)


@pytest.mark.parametrize("dead", ["ws://127.0.0.1:9", "no address", "ws://[::1", "ws://node:70000", "ws://no..de"])
async def test_where_the_named_node_has_died_or_is_no_address_the_track_goes_to_another(dead: str) -> None:
    alive = ""

    async def full(connection: ServerConnection) -> None:
        """A node that names, as the emptiest, one that is no more."""
        ready = Ready("s", "secret", "1", "scripted", [], 80, LIMITS, [dead, alive])
        await connection.send(encode(ready, "json"))
        async for message in connection:
            if json.loads(message)["type"] == "start":
                refusal = Error("overloaded", "the server has all the tracks it may", False, "ada", dead)
                await connection.send(encode(refusal, "json"))

    async with serving() as served:
        alive = served.url
        async with serve(full, "127.0.0.1", 0) as node:
            port = node.sockets[0].getsockname()[1]
            async with Client(f"ws://127.0.0.1:{port}", encoding="json") as client, asyncio.timeout(PATIENCE_S):
                await client.start("daily", "ada", "pcm_f32le", 24_000)
                async for message in client:
                    if not isinstance(message, Ready):
                        break
                assert isinstance(message, Started)


async def test_a_server_that_takes_a_track_only_later_is_asked_again_until_it_does() -> None:
    refusals: list[ErrorCode] = ["draining", "overloaded", "overloaded"]
    has_started = False

    async def restarts(connection: ServerConnection) -> None:
        """Ends what it has started, as who stops does, and is not at once itself again."""
        nonlocal has_started
        await connection.send(encode(Ready("s", "secret", "1", "scripted", [], 80, LIMITS), "json"))
        async for message in connection:
            if json.loads(message)["type"] != "start":
                continue
            if has_started and refusals:
                await connection.send(encode(Error(refusals.pop(0), "not yet", False, "ada"), "json"))
            else:
                await connection.send(encode(Started("ada", 1), "json"))
                if not has_started:
                    has_started = True
                    await connection.send(encode(Stopped("ada"), "json"))
                else:
                    await connection.send(encode(SpeechNotice("ada", True, 0.0), "json"))

    async with serve(restarts, "127.0.0.1", 0) as node:
        port = node.sockets[0].getsockname()[1]
        async with Client(f"ws://127.0.0.1:{port}", encoding="json") as client, asyncio.timeout(PATIENCE_S):
            await client.start("daily", "ada", "pcm_f32le", 24_000)
            said = []
            async for message in client:
                said.append(type(message))
                if isinstance(message, SpeechNotice):
                    break
    assert (said, refusals) == ([Ready, Started, SpeechNotice], [])


async def test_who_speaks_stays_at_a_stopping_node_though_its_address_leads_to_another_by_now() -> None:
    asked: list[list[tuple[str, str]]] = []
    has_moved = asyncio.Event()

    async def behind_a_proxy(connection: ServerConnection) -> None:
        """First a node that stops, and names one that cannot be reached; then the one that has come in its place."""
        here: list[tuple[str, str]] = []
        asked.append(here)
        await connection.send(encode(Ready("s", "secret", "1", "scripted", [], 80, LIMITS), "json"))
        async for message in connection:
            command = json.loads(message)
            here.append((command["type"], command["track"]))
            if command["type"] != "start":
                continue
            await connection.send(encode(Started(command["track"]), "json"))
            if len(asked) > 1:
                has_moved.set()
            elif command["track"] == "bob":
                await connection.send(encode(SpeechNotice("bob", True, 0.0), "json"))
                await connection.send(encode(Draining(60.0, "ws://127.0.0.1:9"), "json"))

    async with serve(behind_a_proxy, "127.0.0.1", 0) as node, Client(url_of(node), None, "json") as client:
        for track in ("ada", "bob"):
            await client.start("daily", track, "pcm_f32le", 24_000)
        async with asyncio.timeout(PATIENCE_S):
            await has_moved.wait()
        for _ in range(3):
            await client.audio("bob", bytes(4))
        await client.stop("bob")
        await until(lambda: ("stop", "bob") in asked[0] + asked[1])
    bobs = [command for command, track in asked[0] if track == "bob"]
    assert (bobs, asked[1]) == (["start", *["audio"] * 3, "stop"], [("start", "ada")])


async def test_a_node_that_says_often_that_it_stops_costs_nothing() -> None:
    async def stops(connection: ServerConnection) -> None:
        await connection.send(encode(Ready("s", "secret", "1", "scripted", [], 80, LIMITS), "json"))
        for _ in range(1_000):
            await connection.send(encode(Draining(60.0, "ws://127.0.0.1:9"), "json"))
        await connection.send(encode(Pong("1", 0.0), "json"))
        await connection.wait_closed()

    async with serve(stops, "127.0.0.1", 0) as node, Client(url_of(node), None, "json") as client:
        async with asyncio.timeout(PATIENCE_S):
            while not isinstance(await anext(aiter(client)), Pong):
                pass
        assert len(asyncio.all_tasks()) < 100


async def test_a_node_that_broke_off_while_it_stopped_and_is_there_again_is_not_left_at_the_old_deadline() -> None:
    asked: list[list[str]] = []

    async def breaks_off(connection: ServerConnection) -> None:
        here: list[str] = []
        asked.append(here)
        if len(asked) == 1:
            await connection.send(encode(Ready("s", "secret", "1", "scripted", [], 80, LIMITS), "json"))
        with suppress(ConnectionClosed):
            async for message in connection:
                here.append(json.loads(message)["type"])
                if here[-1] == "resume":
                    await connection.send(encode(Error("not_resumable", "no such session", False), "json"))
                    await connection.send(encode(Ready("t", "secret", "1", "scripted", [], 80, LIMITS), "json"))
                if here[-1] == "start":
                    await connection.send(encode(Started("ada"), "json"))
                    await connection.send(encode(SpeechNotice("ada", True, 0.0), "json"))
                if len(asked) == 1:
                    await connection.send(encode(Draining(0.5, "ws://127.0.0.1:9"), "json"))
                    await connection.send(encode(Pong("1", 0.0), "json"))
                    await has_read.wait()
                    connection.transport.abort()

    has_read = asyncio.Event()
    async with serve(breaks_off, "127.0.0.1", 0) as node, Client(url_of(node), None, "json") as client:
        await client.start("daily", "ada", "pcm_f32le", 24_000)
        async with asyncio.timeout(PATIENCE_S):
            while not isinstance(await anext(aiter(client)), Pong):
                pass
        has_read.set()
        await until(lambda: "start" in asked[-1] and len(asked) > 1)
        await asyncio.sleep(0.6)
        await client.stop("ada")
        await until(lambda: "stop" in asked[-1])
    assert asked[1].count("start") == 1


async def test_a_track_with_which_one_node_after_the_other_is_lost_is_given_up() -> None:
    async def dies_of_it(connection: ServerConnection) -> None:
        async for message in connection:
            asked = json.loads(message)
            if asked["type"] == "resume":
                await connection.send(encode(Error("not_resumable", "no such session", False), "json"))
            elif asked["type"] == "start":
                await connection.send(encode(Ready("s", "secret", "1", "scripted", [], 80, LIMITS), "json"))
                await connection.send(encode(Started(asked["track"], 1), "json"))
                await connection.close(1011, "the server failed")

    async with serve(dies_of_it, "127.0.0.1", 0) as node:
        port = node.sockets[0].getsockname()[1]
        async with Client(f"ws://127.0.0.1:{port}", encoding="json") as client, asyncio.timeout(PATIENCE_S):
            await client.start("daily", "ada", "pcm_f32le", 24_000)
            [error] = [message async for message in until_refused(client) if isinstance(message, Error)]
    assert (error.code, error.track) == ("model_failed", "ada")


async def test_a_connection_that_breaks_again_while_the_track_is_ended_is_resumed_again() -> None:
    connections: list[list[str]] = []

    async def breaks_twice(connection: ServerConnection) -> None:
        asked: list[str] = []
        connections.append(asked)
        async for message in connection:
            asked.append(json.loads(message)["type"])
            match asked[-1], len(connections):
                case "start", 1:
                    await connection.send(encode(Ready("s", "secret", "1", "scripted", [], 80, LIMITS), "json"))
                    await connection.send(encode(Started("ada", 1), "json"))
                    await connection.close(1011)
                case "stop", 2:
                    await connection.close(1011)
                case "stop", 3:
                    await connection.send(encode(Stopped("ada"), "json"))
                case "start", 3:
                    await connection.send(encode(Started("ada", 2), "json"))
                    await connection.send(encode(SpeechNotice("ada", True, 0.0), "json"))

    async with (
        serve(breaks_twice, "127.0.0.1", 0) as node,
        Client(url_of(node), encoding="json") as client,
        asyncio.timeout(PATIENCE_S),
    ):
        await client.start("daily", "ada", "pcm_f32le", 24_000)
        said = [await anext(aiter(client)) for _ in range(3)]
    assert [type(message) for message in said] == [Ready, Started, SpeechNotice]
    assert connections == [["start"], ["resume", "stop"], ["resume", "stop", "start"]]


async def test_a_client_outlives_all_the_nodes_it_was_told_of_when_it_came() -> None:
    """Twelve nodes, one after the other: each knows only the next one, and only once it is there."""
    began_at: asyncio.Queue[int] = asyncio.Queue()
    connections: dict[int, ServerConnection] = {}

    def links() -> int:
        gc.collect()
        return sum(isinstance(kept, Link) for kept in gc.get_objects())

    async def node(number: int, connection: ServerConnection) -> None:
        connections[number] = connection
        await connection.send(encode(Ready("s", "secret", "1", "scripted", [], 80, LIMITS), "json"))
        async for message in connection:
            if json.loads(message)["type"] == "start":
                await connection.send(encode(Started("ada", 1), "json"))
                began_at.put_nowait(number)

    links_before = links()
    async with AsyncExitStack() as cluster, asyncio.timeout(PATIENCE_S):
        nodes = [await cluster.enter_async_context(serve(partial(node, 0), "127.0.0.1", 0))]
        async with Client(url_of(nodes[0]), encoding="json", reconnect_s=0.0) as client:
            await client.start("daily", "ada", "pcm_f32le", 24_000)
            assert await began_at.get() == 0
            for number in range(1, 12):
                nodes.append(await cluster.enter_async_context(serve(partial(node, number), "127.0.0.1", 0)))
                await connections[number - 1].send('{"type": "of a newer server"}')
                await connections[number - 1].send(encode(OtherNodes([url_of(nodes[number])]), "json"))
                await connections[number - 1].send(encode(spoken(number), "json"))
                nodes[number - 1].close(code=1001)
                assert await began_at.get() == number
            said = [await anext(aiter(client)) for _ in range(13)]
            assert [type(message) for message in said].count(Started) == 1
            assert [message.text for message in said if isinstance(message, Segment)] == [
                f"word {number}" for number in range(1, 12)
            ]
            assert links() - links_before < 5


def spoken(number: int) -> Segment:
    words = [CaptionWord(f"word {number}", 0.0, 0.5)]
    return Segment("daily", "ada", Participant("ada"), f"{number}", 0, True, 0.0, 0.5, words[0].text, words, Latency())


def url_of(node: Server) -> str:
    return f"ws://127.0.0.1:{node.sockets[0].getsockname()[1]}"


async def test_audio_with_which_two_nodes_were_lost_is_not_sent_to_a_third() -> None:
    deaths = 0

    async def cannot_bear_it(connection: ServerConnection) -> None:
        nonlocal deaths
        async for message in connection:
            asked = json.loads(message)
            if asked["type"] == "resume":
                await connection.send(encode(Error("not_resumable", "no such session", False), "json"))
            elif asked["type"] == "start":
                await connection.send(encode(Ready("s", "secret", "1", "scripted", [], 80, LIMITS), "json"))
                await connection.send(encode(Started(asked["track"], 1), "json"))
            elif asked["type"] == "audio" and b64decode(asked["data"]) == POISON:
                deaths += 1
                await connection.close(1011, "the server failed")
            elif asked["type"] == "audio":
                await connection.send(encode(SpeechNotice("ada", True, 0.0), "json"))

    async with (
        serve(cannot_bear_it, "127.0.0.1", 0) as node,
        Client(url_of(node), encoding="json", gather_s=0.0) as client,
        asyncio.timeout(PATIENCE_S),
    ):
        await client.start("daily", "ada", "pcm_f32le", 24_000)
        await client.audio("ada", POISON)
        said = [await anext(aiter(client)) for _ in range(3)]
        await client.audio("ada", bytes(4 * 1_920))
        said.append(await anext(aiter(client)))
    assert [type(message) for message in said] == [Ready, Started, GapNotice, SpeechNotice]
    assert said[2] == GapNotice("ada", 0.0, 0.08, "node_lost")
    assert deaths == 2


async def until_refused(client: Client) -> AsyncIterator[ServerMessage]:
    async for message in client:
        yield message
        if isinstance(message, Error):
            return
