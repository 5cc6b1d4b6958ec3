"""Several processes, each of which may die: who is heard goes on being heard, by the right name."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import numpy as np
import pytest
import pytest_asyncio

from captions.client import Client, ConnectError, watch
from captions.doors.native.messages import Error, GapNotice, Segment
from captions.types import FRAME_S, SAMPLE_RATE, Pcm
from tests.redis_server import needs_redis, redis_server
from tests.server.fronts import LANES, Fronts, serving_by
from tests.server.harness import PATIENCE_S, pcm_f32le
from tests.speech import saying

pytestmark = pytest.mark.asyncio(loop_scope="module")

TALKERS = 20
PLUGIN = 24
BY_CHANCE = 14
"""Connections of which each of two fronts has one, but once in eight thousand times."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def served() -> AsyncIterator[Fronts]:
    """One server of two fronts for nearly all tests: starting it takes longer than what most of them do with it."""
    async with serving_by(2) as server:
        yield server


def speech_of(number: int) -> list[Pcm]:
    """Nearly six seconds of two words that nobody else says."""
    return saying(*([number, number + 25] * 12))


def words_of(number: int) -> set[str]:
    return {f"w{number}", f"w{number + 25}"}


@dataclass
class Talker:
    """One track that talks all the while; `words` were committed, in order."""

    number: int
    words: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    closed: bool = False

    @property
    def name(self) -> str:
        return f"t{self.number}"


@asynccontextmanager
async def talking(url: str, *numbers: int) -> AsyncIterator[list[Talker]]:
    """Tracks of one connection that talk in real time."""
    talkers = {f"t{number}": Talker(number) for number in numbers}
    async with Client(url, reconnect_s=0.0) as client:
        for talker in talkers.values():
            await client.start("daily", talker.name, "pcm_f32le", SAMPLE_RATE)

        async def send() -> None:
            speech = {name: itertools.cycle(speech_of(talker.number)) for name, talker in talkers.items()}
            due = asyncio.get_running_loop().time()
            while True:
                for name, frames in speech.items():
                    await client.audio(name, pcm_f32le(next(frames)))
                due += FRAME_S
                await asyncio.sleep(due - asyncio.get_running_loop().time())

        async def read() -> None:
            counted: dict[str, int] = {}
            with suppress(ConnectError):
                async for message in client:
                    match message:
                        case Segment(track=track):
                            talkers[track].words += [word.text for word in message.words[counted.get(message.id, 0) :]]
                            counted[message.id] = len(message.words)
                        case GapNotice(track=track):
                            talkers[track].gaps.append(message.reason)
                        case Error():
                            for talker in talkers.values():
                                talker.errors.append(message.code)
            for talker in talkers.values():
                talker.closed = True

        tasks = [asyncio.create_task(send()), asyncio.create_task(read())]
        try:
            yield list(talkers.values())
        finally:
            for task in tasks:
                task.cancel()


@asynccontextmanager
async def plugin_talking(url: str) -> AsyncIterator[Talker]:
    """La Suite's LiveKit plugin as it is on PyPI: it never connects again."""
    aiohttp = pytest.importorskip("aiohttp")
    rtc = pytest.importorskip("livekit.rtc")
    plugin = pytest.importorskip("lasuite.plugins.kyutai")
    talker = Talker(PLUGIN)
    samples = (np.concatenate(speech_of(PLUGIN)) * 32_767).astype(np.int16)
    async with aiohttp.ClientSession() as http:
        stream = plugin.STT(api_key="any", base_url=f"{url}/api/asr-streaming", http_session=http).stream()

        async def send() -> None:
            due = asyncio.get_running_loop().time()
            for start in itertools.cycle(range(0, len(samples), 480)):
                block = samples[start : start + 480]
                stream.push_frame(rtc.AudioFrame(block.tobytes(), SAMPLE_RATE, 1, len(block)))
                due += len(block) / SAMPLE_RATE
                await asyncio.sleep(due - asyncio.get_running_loop().time())

        async def read() -> None:
            async for event in stream:
                talker.words += event.alternatives[0].text.lower().strip(".,").split()
            talker.closed = True

        tasks = [asyncio.create_task(send()), asyncio.create_task(read())]
        try:
            yield talker
        finally:
            for task in tasks:
                task.cancel()
            await stream.aclose()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 -- what is waited for happens in other processes
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hangs"])
async def test_a_model_that_dies_closes_no_socket_and_captions_go_on(served: Fronts, how: signal.Signals) -> None:
    async with AsyncExitStack() as meeting:
        talkers = [await meeting.enter_async_context(plugin_talking(served.url))]
        for first in range(0, TALKERS, 5):
            talkers += await meeting.enter_async_context(talking(served.url, *range(first, first + 5)))
        assert len(talkers) <= LANES
        await until(lambda: all(len(talker.words) >= 2 for talker in talkers))
        await served.replaces("model", how)
        said = [len(talker.words) for talker in talkers]
        await until(lambda: all(len(t.words) >= before + 4 for t, before in zip(talkers, said, strict=True)))
        for talker in talkers:
            assert (set(talker.words), talker.errors, talker.closed) == (words_of(talker.number), [], False)
        assert {reason for talker in talkers[1:] for reason in talker.gaps} == {"restart"}
        assert all(talker.gaps for talker in talkers[1:])


async def test_a_front_that_dies_takes_only_its_own_connections_and_is_replaced(served: Fronts) -> None:
    async with AsyncExitStack() as meeting:
        talkers: list[Talker] = []
        for number in range(BY_CHANCE):
            talkers += await meeting.enter_async_context(talking(served.url, number))
        await until(lambda: all(talker.words for talker in talkers))
        await served.replaces("front", signal.SIGKILL)
        await until(lambda: any(talker.closed for talker in talkers))
        others = [talker for talker in talkers if not talker.closed]
        said = [len(talker.words) for talker in others]
        await until(lambda: all(len(t.words) >= before + 2 for t, before in zip(others, said, strict=True)))
        assert 0 < len(others) < len(talkers)
        for number in range(BY_CHANCE, BY_CHANCE + 8):
            talkers += await meeting.enter_async_context(talking(served.url, number))
        await until(lambda: all(talker.words for talker in talkers))
        assert all(set(talker.words) <= words_of(talker.number) for talker in talkers)


async def test_a_server_told_to_stop_says_what_it_heard_and_ends_well(served: Fronts) -> None:
    """The last test of the server that those above have together."""
    async with talking(served.url, 3) as (talker,), watch(served.url, "daily"):
        await until(lambda: len(talker.words) >= 2)
        served.process.terminate()
        await until(lambda: talker.closed)
    assert await served.process.wait() == 0


@needs_redis
async def test_over_redis_whoever_watches_at_any_front_reads_what_is_said_at_one() -> None:
    async with redis_server() as redis, serving_by(2, redis.url) as server, AsyncExitStack() as meeting:
        await meeting.enter_async_context(talking(server.url, 3))
        readers = [await meeting.enter_async_context(watch(server.url, "daily")) for _ in range(BY_CHANCE)]
        async with asyncio.timeout(PATIENCE_S):
            for reader in readers:
                while not isinstance(await anext(reader), Segment):
                    pass


async def test_no_front_outlives_the_supervisor() -> None:
    async with serving_by(1) as alone:
        async with talking(alone.url, 3) as (talker,):
            await until(lambda: len(talker.words) >= 2)
            alone.process.kill()
            await until(lambda: talker.closed)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", int(alone.url.rpartition(":")[2]))
