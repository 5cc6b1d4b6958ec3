"""`captions watch` and `captions rooms`: what a terminal shows of a running server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from bench.servers.room_server import RoomServer
from captions.__main__ import main
from captions.cli.watch import follow
from captions.client import ConnectError
from captions.config import KeysConfig
from captions.doors.native.messages import CaptionWord, Latency, Participant, Segment, Uncaptioned
from tests.server.harness import PATIENCE_S

ZOE = Participant("p", "Zoé")
NOON = 1_700_000_000.0


@pytest.fixture
async def server() -> AsyncIterator[RoomServer]:
    async with RoomServer() as server:
        yield server


def segment(name: str, text: str, *, at: float = 0.0, final: bool = True) -> Segment:
    words = [CaptionWord(word, at, at + 1.0) for word in text.split()]
    return Segment(
        "daily", "t", ZOE, name, 1, final, at, at + 1.0, text, words, Latency(word_latency=400.0), said_at=NOON + at
    )


def missing(length_s: float) -> Uncaptioned:
    return Uncaptioned("daily", "t", ZOE, "b", 5.0, 5.0 + length_s, "overload", NOON + 5.0)


async def shown(capsys: pytest.CaptureFixture[str], so_far: str, wanted: str) -> str:
    async with asyncio.timeout(PATIENCE_S):
        while wanted not in so_far:
            await asyncio.sleep(0.01)
            so_far += capsys.readouterr().out
    return so_far


async def test_a_rooms_captions_are_read_with_times_and_names_and_what_is_missing(
    server: RoomServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.publish(segment("a", "Said before."))
    watching = asyncio.create_task(follow(server.url, "daily", None))
    out = await shown(capsys, "", "Said before.")
    server.publish(missing(1.0))
    server.publish(missing(12.0))
    server.publish(segment("c", "And after.", at=20.0))
    out = await shown(capsys, out, "And after.")
    lines = [line for line in out.splitlines() if line.strip()]
    assert [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in lines] == [
        "Zoé: Said before.",
        "Zoé: [not captioned: 12 s]",
        "Zoé: And after.",
    ]
    assert [line[5:8] for line in lines] == [":20", ":25", ":40"]
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_lost_connection_is_told_and_nothing_comes_twice(
    server: RoomServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.publish(segment("a", "Before."))
    watching = asyncio.create_task(follow(server.url, "daily", None))
    out = await shown(capsys, "", "Before.")
    await server.stop()
    out = await shown(capsys, out, "lost; trying again ...")
    await server.start()
    server.publish(segment("b", "After."))
    out = await shown(capsys, out, "After.")
    assert out.count("Before.") == 1
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_server_that_is_not_there_or_wants_a_key_ends_it() -> None:
    with pytest.raises(ConnectError):
        await follow("ws://127.0.0.1:1", "daily", None)
    async with RoomServer(KeysConfig(publish=("publish-key",))) as server:
        with pytest.raises(ConnectError, match="401"):
            await follow(server.url, "daily", "wrong")


async def test_rooms_are_listed_for_who_may_publish(capsys: pytest.CaptureFixture[str]) -> None:
    keys = KeysConfig(publish=("publish-key",), watch=("watch-key",))
    async with RoomServer(keys) as server:
        server.publish(segment("a", "Said."))
        server.publish(segment("b", "Being", final=False))
        watching = asyncio.create_task(follow(server.url, "daily", "watch-key"))
        await shown(capsys, "", "Said.")
        url = server.url.replace("http", "ws")
        assert await asyncio.to_thread(main, ["rooms", "--url", url, "--key", "publish-key"]) == 0
        assert re.search(r"daily +1 +1 +0 s", capsys.readouterr().out)
        assert await asyncio.to_thread(main, ["rooms", "--url", url, "--key", "watch-key"]) == 1
        assert "/v1/rooms: 401 " in capsys.readouterr().err
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_server_without_rooms_says_so(server: RoomServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert await asyncio.to_thread(main, ["rooms", "--url", server.url]) == 0
    assert capsys.readouterr().out == "no rooms: nobody speaks or watches\n"


def test_rooms_of_a_server_that_is_not_there_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rooms", "--url", "ws://127.0.0.1:1"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("captions: http://127.0.0.1:1/v1/rooms: ")
