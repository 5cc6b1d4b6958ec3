"""A client that loses its socket goes on: nothing said twice, nothing final lost, the gap told."""

from __future__ import annotations

from itertools import islice
from typing import TypeVar

import pytest

from captions.cli.audio_file import blocks
from captions.cli.demo import clip
from captions.client import Client
from captions.config import Config, LimitsConfig, ServerConfig
from captions.doors.native.messages import Error, GapNotice, Ready, Resume, Segment, ServerMessage, Started, Stopped
from captions.models.moonshine.model import MoonshineModel
from captions.server.server import Server
from captions.types import SAMPLE_RATE
from tests.server.harness import serving, started
from tests.speech import saying

M = TypeVar("M", bound=ServerMessage)

BLOCKS = [block.astype("<f4").tobytes() for block in islice(blocks(clip(), SAMPLE_RATE // 10), 100)]


async def server(resume_s: float) -> Server:
    running = Server(Config(ServerConfig(port=0), limits=LimitsConfig(resume_s=resume_s)), MoonshineModel(1))
    await running.start()
    return running


async def take(client: Client, kind: type[M]) -> tuple[M, list[ServerMessage]]:
    """The next message of a kind, and everything up to it."""
    passed: list[ServerMessage] = []
    async for message in client:
        passed.append(message)
        if isinstance(message, kind):
            return message, passed
    raise AssertionError(f"the connection ended before a {kind.__name__}")


async def test_a_lost_connection_costs_no_word_and_says_none_twice() -> None:
    running = await server(30.0)
    try:
        async with Client(f"ws://127.0.0.1:{running.port}") as client:
            await client.start("room", "t", "pcm_f32le", SAMPLE_RATE, live=False)
            _, seen = await take(client, Started)
            for block in BLOCKS[:50]:
                await client.audio("t", block)
            _, more = await take(client, Segment)
            seen += more
            await client.resume()
            for block in BLOCKS[50:]:
                await client.audio("t", block)
            await client.stop("t")
            _, more = await take(client, Stopped)
            seen += more
    finally:
        await running.stop()
    assert [type(m) for m in seen].count(Ready) == 1
    assert [m.reason for m in seen if isinstance(m, GapNotice)] == ["disconnected"]
    segments = [m for m in seen if isinstance(m, Segment)]
    assert len({(m.id, m.revision) for m in segments}) == len(segments)
    finals = [m.text for m in segments if m.final and m.words]
    words = "".join(c for c in " ".join(finals).lower() if c.isalpha() or c == " ").split()
    assert words[:12] == ["it", "was", "the", "best", "of", "times", "it", "was", "the", "worst", "of", "times"]
    assert "foolishness" in words


async def test_nobody_takes_over_a_session_without_its_secret() -> None:
    async with serving(limits={"resume_s": 30.0}) as served, served.talker() as owner, served.talker() as thief:
        await owner.send(started("t"))
        ready = await owner.hear(Ready)
        await thief.send(Resume(ready.session, "guessed", 0))
        assert (await thief.hear(Error)).code == "not_resumable"
        await owner.stop("t")


async def test_a_session_whose_time_is_over_is_gone() -> None:
    async with serving() as served:
        async with Client(served.url) as client:
            await client.start("room", "t", "opus")
            await take(client, Started)
        await served.nothing_held()
        await client.resume()
        error, _ = await take(client, Error)
    assert error.code == "not_resumable"


@pytest.mark.parametrize("received", [0, 1, 2])
async def test_exactly_what_was_missed_is_sent_again(received: int) -> None:
    async with serving(limits={"resume_s": 30.0}) as served:
        async with served.talker() as client:
            await client.send(started("t"))
            ready = await client.hear(Ready)
            await client.hear(Started)
        async with served.talker() as back:
            await back.send(Resume(ready.session, ready.secret, received))
            await back.stop("t")
        again = [message for message in back.said if not isinstance(message, GapNotice | Stopped)]
        assert again == client.said[received:]


async def test_a_session_is_forgotten_once_its_client_is_gone_and_its_tracks_have_ended() -> None:
    async with serving(limits={"resume_s": 30.0}) as served:
        async with served.talker() as client:
            await client.say("t", saying(1))
        await served.nothing_held()
