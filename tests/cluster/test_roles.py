"""Roles: a gateway has no model and no ear, a speech node has no readers; both in processes of their own."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from captions.__main__ import main
from captions.client import watch
from captions.doors.native.messages import Segment
from tests.redis_server import RedisServer, needs_redis, redis_server
from tests.server.harness import PATIENCE_S, Served, serving, until
from tests.speech import saying

pytestmark = needs_redis

HEAVY = ("onnxruntime", "moonshine_voice", "torch", "moshi")
GATEWAY = f"""
import sys
from captions.__main__ import main
import captions.server.server as server
run = server.Server.run
async def told(self, ready):
    await run(self, lambda: (ready(), print("loaded", [m for m in {HEAVY} if m in sys.modules], flush=True)))
server.Server.run = told
sys.exit(main(["serve", "--role", "watch", "--port", "0", "--redis", sys.argv[1]]))
"""


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    async with redis_server() as started:
        yield started


@asynccontextmanager
async def gateway(url: str) -> AsyncIterator[tuple[str, str]]:
    """A gateway in a process of its own: its address, and what of the heavy libraries it has in memory."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GATEWAY, url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            said = (await process.stdout.readline()).decode()
            loaded = (await process.stdout.readline()).decode()
        found = re.search(r"http://(127\.0\.0\.1:\d+)/", said)
        assert found is not None, said
        yield f"ws://{found[1]}", loaded.strip()
    finally:
        process.terminate()
        assert await process.wait() == 0


async def test_a_gateway_has_no_model_in_memory_and_shows_what_speech_nodes_hear(server: RedisServer) -> None:
    speech = serving(cluster={"redis": server.url, "role": "speech"})
    async with gateway(server.url) as (url, loaded), speech as served, served.talker() as client:
        assert loaded == "loaded []"
        async with watch(url, "daily") as captions, asyncio.timeout(PATIENCE_S):
            await client.say("t1", saying(1, 2, 3))
            async for caption in captions:
                if isinstance(caption, Segment) and caption.final:
                    break
            assert isinstance(caption, Segment)
            assert (caption.track, caption.text) == ("t1", "w1 w2 w3")


async def test_each_role_serves_what_is_its_own(server: RedisServer) -> None:
    speech_routes = ["/v1/stream", "/api/asr-streaming", "/api/modules_info"]
    watch_routes = ["/v1/rooms/daily/transcript.txt", "/", "/overlay"]
    shared_routes = ["/healthz", "/readyz", "/metrics", "/v1/nodes"]
    async with serving(cluster={"redis": server.url, "role": "speech"}) as speech:
        assert [(await speech.get(path))[0] for path in watch_routes] == [404] * 3
        assert [(await speech.get(path))[0] for path in shared_routes] == [200] * 4
        with pytest.raises(InvalidStatus, match="404"):
            async with connect(f"{speech.url}/v1/rooms/daily/captions", proxy=None):
                pass
    async with gateway(server.url) as (url, _):
        there = At(url)
        assert [(await there.get(path))[0] for path in speech_routes] == [404] * 3
        assert [(await there.get(path))[0] for path in watch_routes + shared_routes] == [200] * 7


class At(Served):
    """A server in another process."""

    def __init__(self, url: str) -> None:
        self.port = int(url.rpartition(":")[2])

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        return int(head.split()[1]), body.decode()


async def test_without_redis_a_speech_node_is_ready_and_a_gateway_is_not(server: RedisServer) -> None:
    async with gateway(server.url) as (url, _), serving(cluster={"redis": server.url}) as speech:
        assert (await At(url).get("/readyz"))[0] == 200
        await server.kill()
        async with asyncio.timeout(PATIENCE_S):
            while (await At(url).get("/readyz"))[0] == 200:
                pass
        assert await At(url).get("/readyz") == (503, "Redis cannot be reached")
        assert (await At(url).get("/healthz"))[0] == 200
        await until(lambda: not speech.server.rooms.is_up)
        assert (await speech.get("/readyz"))[0] == 200
        assert await speech.metric("captions_bus_up") == 0


def test_a_gateway_without_redis_is_refused_at_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--role", "watch"]) == 1
    assert capsys.readouterr().err == "captions: cluster.role: a gateway has nothing to show without cluster.redis\n"
