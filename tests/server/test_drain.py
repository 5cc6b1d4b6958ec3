"""SIGTERM drains: what was heard is said, then the sockets are closed, then the process ends well."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from captions.doors.native.messages import Audio, Ping, Pong, Stopped
from captions.models.moonshine.words import spoken
from tests.server.harness import PATIENCE_S, Talker, final_text, pcm_f32le, started
from tests.speech import dickens

SENTENCE = "it was the best of times"
FRAME = 1_920


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`captions serve` in a process of its own, away from any config.toml, and its address."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "captions", "serve", "--port", "0", "--model", "moonshine"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert server.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            announced = re.search(r"ws://[^/\s]+", (await server.stdout.readline()).decode())
        assert announced is not None
        yield server, announced.group()
    finally:
        if server.returncode is None:
            server.kill()
        await server.communicate()


async def test_sigterm_lets_the_last_words_out_and_closes_well(tmp_path: Path) -> None:
    pcm = dickens(0.8, 2.8)
    frames = pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME)
    async with served(tmp_path) as (server, url), connect(f"{url}/v1/stream", proxy=None) as connection:
        client = Talker(connection, "msgpack")
        await client.send(started("t1"))
        for frame in frames:
            await client.send(Audio("t1", pcm_f32le(frame)))
        await client.send(Ping("all of it has come"))
        await client.hear(Pong)
        server.terminate()
        await client.hear(Stopped)
        assert [spoken(word) for word in final_text(client.said, "t1").split()] == SENTENCE.split()
        with pytest.raises(ConnectionClosed) as closed:
            await client.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        async with asyncio.timeout(PATIENCE_S):
            assert await server.wait() == 0
