"""A server or a connection is lost in mid-speech and comes back: who talks through `Client` goes on."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, suppress
from itertools import chain

import pytest

from captions.client import Client, ConnectError, watch
from captions.doors.native.messages import Error, Flushed, FlushRequest, GapNotice, Mute, Segment, Started, Unmute
from tests.client.talk import PAUSE, Talk
from tests.server.harness import PATIENCE_S, Served, serving, until
from tests.server_process import server_process
from tests.speech import saying

HOST = f"127.{1 + os.getpid() % 250}.7.3"
"""This run's own, so that nobody else takes the port while the server is away."""

FRAME_S = 0.01


def url_of(served: Served) -> str:
    return f"ws://{HOST}:{served.server.port}"


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_talkers_go_on_at_a_server_that_was_restarted_in_mid_speech(how: str) -> None:
    async with server_process(host=HOST) as first, Client(first.url) as client:
        talk = Talk(client, "ada", "zoe", frame_s=FRAME_S)
        await talk.start()
        await talk.speak([*saying(1, 2, 3), *PAUSE, *saying(4, 5, 6)])
        await until(lambda: "w4" in talk.words("ada") and "w4" in talk.words("zoe"))
        await (first.kill() if how == "SIGKILL" else first.stop())
        await talk.speak([*saying(7, 8), *PAUSE], "ada")
        await client.send(FlushRequest("ada", "asked while it was away"))
        async with server_process(host=HOST, port=port_of(first.url)):
            await talk.speak([*saying(9, 10), *PAUSE])
            await talk.stop()
    assert talk.words("ada") == [f"w{number}" for number in range(1, 11)]
    assert talk.words("zoe") == [f"w{number}" for number in (*range(1, 7), 9, 10)]
    assert [type(said) for said in talk.said].count(Started) == 2
    assert [said.id for said in talk.said if isinstance(said, Flushed)] == ["asked while it was away"]
    assert not [said for said in talk.said if isinstance(said, Error | GapNotice)]
    finals = [said for said in talk.said if isinstance(said, Segment) and said.final and said.track == "ada"]
    starts = [word.start for said in finals for word in said.words]
    assert starts == sorted(starts), "the track's clock goes on"


async def test_what_a_muted_track_sends_meanwhile_is_not_heard_later_either() -> None:
    async with AsyncExitStack() as first:
        served = await first.enter_async_context(serving(server={"host": HOST}))
        async with Client(url_of(served)) as client:
            talk = Talk(client, frame_s=FRAME_S)
            await talk.start()
            await talk.speak([*saying(1, 2), *PAUSE])
            await until(lambda: "w2" in talk.words())
            await client.send(Mute("ada"))
            await first.aclose()
            await talk.speak([*saying(3, 4), *PAUSE])
            async with serving(server={"host": HOST, "port": served.server.port}):
                await talk.speak([*saying(5, 6), *PAUSE])
                await client.send(Unmute("ada"))
                await talk.speak([*saying(7, 8), *PAUSE])
                await talk.stop()
    assert talk.words() == ["w1", "w2", "w7", "w8"]


async def test_a_client_without_tracks_finds_its_server_again() -> None:
    async with AsyncExitStack() as first:
        served = await first.enter_async_context(serving(server={"host": HOST}))
        async with Client(url_of(served)) as client:
            talk = Talk(client, frame_s=FRAME_S)
            await first.aclose()
            async with serving(server={"host": HOST, "port": served.server.port}):
                await talk.start()
                await talk.speak([*saying(1, 2), *PAUSE])
                await talk.stop()
    assert talk.words() == ["w1", "w2"]


async def test_a_broken_connection_costs_no_word_and_watchers_read_none_twice() -> None:
    async with (
        serving(limits={"resume_s": 60.0}) as served,
        Relay(served.server.port) as relay,
        watch(served.url, "daily") as captions,
        Client(relay.url) as client,
    ):
        talk = Talk(client, frame_s=FRAME_S)
        await talk.start()
        await talk.speak([*saying(1, 2, 3), *PAUSE, *saying(4, 5, 6)])
        await until(lambda: "w4" in talk.words())
        relay.cut()
        await talk.speak([*saying(7, 8), *PAUSE])
        relay.mend()
        await talk.speak([*saying(9, 10), *PAUSE])
        await talk.stop()
        shown: dict[str, list[str]] = {}
        async with asyncio.timeout(PATIENCE_S):
            while "w10" not in chain(*shown.values()):
                if isinstance(caption := await anext(captions), Segment):
                    shown[caption.id] = [word.text for word in caption.words]
    assert talk.words() == [f"w{number}" for number in range(1, 11)]
    assert list(chain(*shown.values())) == talk.words()
    assert not [said for said in talk.said if isinstance(said, Error | GapNotice)]


async def test_a_server_that_stays_away_is_given_up_and_whoever_sends_is_told() -> None:
    async with AsyncExitStack() as first:
        served = await first.enter_async_context(serving(server={"host": HOST}))
        async with Client(url_of(served), reconnect_s=0.5) as client:
            await client.start("daily", "ada", "opus")
            await client.start("daily", "zoe", "opus")
            await first.aclose()
            with pytest.raises(ConnectError, match="no other can be reached"):
                await to_the_end(client)
            with pytest.raises(ConnectError):
                await client.audio("ada", b"\xf8")
            with pytest.raises(ConnectError):
                await client.start("daily", "eve", "opus")


async def test_whose_key_is_no_longer_good_is_not_let_in_later_either() -> None:
    async with AsyncExitStack() as first:
        served = await first.enter_async_context(serving(server={"host": HOST}, keys={"publish": ["then"]}))
        async with Client(url_of(served), "then") as client:
            await client.start("daily", "ada", "opus")
            await first.aclose()
            async with serving(server={"host": HOST, "port": served.server.port}, keys={"publish": ["now"]}):
                with pytest.raises(ConnectError, match="401"):
                    await to_the_end(client)


async def to_the_end(client: Client) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async for _ in client:
            pass


class Relay:
    """A proxy that can be `cut`: who is connected is reset, and nobody else is let in."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._whole = True
        self._through: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Relay:
        self._listening = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._listening.close()

    def cut(self) -> None:
        self._whole = False
        for writer in self._through:
            writer.transport.abort()

    def mend(self) -> None:
        self._whole = True

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        back, on = await asyncio.open_connection("127.0.0.1", self._port)
        self._through += [writer, on]
        await asyncio.gather(pass_on(reader, on), pass_on(back, writer))


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
