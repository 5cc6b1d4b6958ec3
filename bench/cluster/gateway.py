"""What one gateway holds: how soon it is up, its memory, and thousands of readers of busy rooms beside a slow one."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from bench.cluster.bus import node_over, revision_of
from bench.load.raw_socket import RawSocket
from bench.measure.process import cpu_s, resident_mb
from bench.servers.free_port import free_port
from bench.servers.redis_server import RedisServer
from captions.rooms.shared import SharedRooms

__all__ = ["GatewayFigures", "measure_gateway"]

_UP_WITHIN_S = 30.0
_SETTLE_S = 3.0
_REVISIONS_A_ROOM = 10.0
_SLOW_EVERY_S = 0.02
_SLOW_TEXT = "x" * 20_000
_LOOK_EVERY = 50
_MOST_CONNECTIONS = "20000"


@dataclass(frozen=True, slots=True)
class GatewayFigures:
    """CPU in shares of a core. `best_p95_ms`, `worst_p95_ms`: over the rooms. `slow_dropped_after_s`: -1 if it was not.

    `lost`: readers whose connection was closed. `each_a_s`: revisions that a reader of a room got a second.
    """

    up_after_s: float
    empty_mb: float
    full_mb: float
    readers: int
    rooms: int
    gateway_cpu: float
    redis_cpu: float
    readers_cpu: float
    each_a_s: float
    megabytes_a_s: float
    p50_ms: float
    p95_ms: float
    best_p95_ms: float
    worst_p95_ms: float
    lost: int
    slow_dropped_after_s: float


async def measure_gateway(redis: RedisServer, readers: int, rooms: int, seconds: float) -> GatewayFigures:
    async with _gateway(redis) as (gateway, port, up_after_s):
        empty_mb = resident_mb(gateway.pid)
        url = f"ws://127.0.0.1:{port}"
        crowd = await _start("readers", url, rooms, readers, seconds)
        await _line(crowd)
        talk = await _start("bus", redis.url, rooms, rooms * _REVISIONS_A_ROOM, seconds + _SETTLE_S)
        await _line(talk)
        slow = asyncio.create_task(_slow_reader(redis, url, seconds))
        before = cpu_s(gateway.pid), cpu_s(redis.pid), cpu_s(crowd.pid), time.monotonic()
        came = json.loads(await _line(crowd))
        took_s = time.monotonic() - before[3]
        after = cpu_s(gateway.pid), cpu_s(redis.pid), cpu_s(crowd.pid)
        shares = [(now - then) / took_s for now, then in zip(after, before[:3], strict=True)]
        full_mb = resident_mb(gateway.pid)
        slow_dropped_after_s = await slow
        await asyncio.gather(crowd.wait(), talk.wait())
    return GatewayFigures(
        up_after_s=up_after_s,
        empty_mb=empty_mb,
        full_mb=full_mb,
        readers=readers,
        rooms=rooms,
        gateway_cpu=shares[0],
        redis_cpu=shares[1],
        readers_cpu=shares[2],
        megabytes_a_s=came.pop("bytes_a_s") / 1e6,
        slow_dropped_after_s=slow_dropped_after_s,
        **came,
    )


@asynccontextmanager
async def _gateway(redis: RedisServer) -> AsyncIterator[tuple[asyncio.subprocess.Process, int, float]]:
    """`captions serve --role watch` as anybody starts it, and how long it took until a reader could be let in."""
    port = free_port()
    limits = ("CONNECTIONS", "CONNECTIONS_PER_ADDRESS", "HANDSHAKES")
    settings = {f"CAPTIONS_LIMITS_{name}": _MOST_CONNECTIONS for name in limits}
    command = [sys.executable, "-m", "captions", "serve", "--role", "watch", "--redis", redis.url, "--port", str(port)]
    began_at = time.monotonic()
    nothing = asyncio.subprocess.DEVNULL
    child = await asyncio.create_subprocess_exec(*command, env=os.environ | settings, stdout=nothing, stderr=nothing)
    try:
        async with asyncio.timeout(_UP_WITHIN_S):
            while True:
                try:
                    (await RawSocket.open(f"ws://127.0.0.1:{port}", "/v1/rooms/empty/captions")).reset()
                    break
                except OSError:
                    await asyncio.sleep(0.01)
        yield child, port, time.monotonic() - began_at
    finally:
        child.terminate()
        await child.wait()


async def _slow_reader(redis: RedisServer, url: str, seconds: float) -> float:
    """Somebody who reads nothing of a room of long final captions; how long the gateway waits for them."""
    node = node_over(redis.url, "slow")
    await node.start()
    began_at = time.monotonic()
    reader = await RawSocket.open(url, "/v1/rooms/slow/captions", reads=False)
    try:
        return await _fill(node, url, began_at, seconds)
    finally:
        reader.reset()
        await node.stop()


async def _fill(node: SharedRooms, url: str, began_at: float, seconds: float) -> float:
    number = 0
    while time.monotonic() - began_at < seconds:
        said = revision_of(number, 1)
        long = msgspec.structs.replace(said, room="slow", id=f"{number:08x}", final=True, text=_SLOW_TEXT)
        node.publish(long, 0.0)
        number += 1
        await asyncio.sleep(_SLOW_EVERY_S)
        if number % _LOOK_EVERY == 0 and await asyncio.to_thread(_dropped, url):
            return time.monotonic() - began_at
    return -1.0


def _dropped(url: str) -> bool:
    """Whether the gateway has given a reader up."""
    with urllib.request.urlopen(url.replace("ws://", "http://", 1) + "/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return any(float(line.split()[-1]) > 0 for line in lines if line.startswith("captions_readers_dropped_total{"))


async def _start(module: str, *arguments: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"bench.cluster.{module}", *map(str, arguments)), stdout=asyncio.subprocess.PIPE
    )


async def _line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    return await process.stdout.readline()
