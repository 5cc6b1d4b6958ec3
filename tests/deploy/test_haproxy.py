"""deploy/haproxy.cfg as it stands, in Debian's HAProxy, before real nodes."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from bench.servers.free_port import free_port
from captions.doors.native.messages import Segment, decode_server
from tests.redis_server import needs_redis, redis_server
from tests.server.harness import PATIENCE_S, Served, Talker, serving
from tests.server_process import server_process
from tests.speech import saying

DEPLOY = Path(__file__).parents[2] / "deploy"
pytestmark = [
    needs_redis,
    pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed"),
]


def new_certificate(folder: Path) -> Path:
    certificate = folder / "captions.pem"
    subprocess.run([str(DEPLOY / "certificate.sh"), str(certificate), "localhost"], check=True)
    return certificate


@asynccontextmanager
async def haproxy(folder: Path, speech: list[str], gateway: str) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
    """The proxy's address, and what a client trusts."""
    certificate = new_certificate(folder)
    port = free_port()
    places = {"SPEECH_1": speech[0], "SPEECH_2": speech[1], "GATEWAY_1": gateway}
    environment = os.environ | {"LISTEN": f"127.0.0.1:{port}", "CERTIFICATE": str(certificate)}
    environment |= {name: url.removeprefix("ws://") for name, url in places.items()}
    process = await asyncio.create_subprocess_exec(
        *("haproxy", "-db", "-f", str(DEPLOY / "haproxy.cfg")), env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    trusted = ssl.create_default_context(cafile=str(certificate))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while await status(port, trusted, "/readyz") != 200:
                pass
        yield f"wss://localhost:{port}", trusted
    finally:
        process.terminate()
        await process.wait()


async def status(port: int, trusted: ssl.SSLContext, path: str) -> int:
    try:
        reader, writer = await asyncio.open_connection("localhost", port, ssl=trusted)
    except OSError:
        return 0
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    head = await reader.read(64)
    writer.close()
    return int(head.split()[1]) if head else 0


async def test_audio_goes_to_a_node_that_lives_and_readers_to_a_gateway(tmp_path: Path) -> None:
    async with (
        redis_server() as redis,
        server_process(redis.url) as first,
        serving(cluster={"redis": redis.url, "role": "speech"}) as second,
        serving(cluster={"redis": redis.url}) as gateway,
        haproxy(tmp_path, [first.url, second.url], gateway.url) as (url, trusted),
    ):
        port = int(url.rpartition(":")[2])
        assert await status(port, trusted, "/metrics") == 404, "not for everybody"
        assert await status(port, trusted, "/overlay") == 200
        async with connect(f"{url}/v1/rooms/daily/captions", ssl=trusted, proxy=None) as watcher:
            await first.kill()
            await say(url, trusted, second)
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    message = decode_server(await watcher.recv())
                    if isinstance(message, Segment) and message.final:
                        break
        assert message.text == "w1 w2 w3"


async def say(url: str, trusted: ssl.SSLContext, node: Served) -> None:
    """Talk through the proxy, which finds that a node is gone when it cannot connect, and then asks the other one."""
    async with connect(f"{url}/v1/stream", ssl=trusted, proxy=None) as connection:
        assert await Talker(connection, "msgpack").say("t1", saying(1, 2, 3)) == "w1 w2 w3"
    assert await node.metric("captions_words_total") == 3
