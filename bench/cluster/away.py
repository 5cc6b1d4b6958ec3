"""Redis is away for a while, then one of three nodes is cut off from it: what do publishers and readers miss?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from bench.cluster.cut import way_to
from bench.cluster.nodes import talking
from bench.cluster.partition import partition, partition_missing
from bench.cluster.talkers import Counted
from bench.servers.redis_server import RedisServer, redis_server

__all__ = ["AwayFigures", "measure_away"]

REDIS_AWAY_S = 10.0
NODE_CUT_OFF_S = 15.0
_SETTLE_S = 8.0


@dataclass(slots=True)
class AwayFigures:
    """`counted`: what came back to those who talk. `shown`: words that a reader at a fourth node has in the end.

    `not_ready`: how often a speech node said so in between. `left_open`: segments of which the reader has no last word.
    """

    talkers: int
    counted: Counted = field(default_factory=Counted)
    shown: int = 0
    left_open: int = 0
    not_ready: int = 0
    failed: list[str] = field(default_factory=list)


async def measure_away(talkers: int) -> AwayFigures:
    """With root, Redis is on a host of its own and the node's link to it is cut; else a forwarder stands still."""
    figures = AwayFigures(talkers)
    async with _way() as (redis, way, url), talking(redis, talkers, first_way=url) as (cluster, people, shown):
        await redis.kill()
        figures.not_ready += await _look_for(cluster.urls, REDIS_AWAY_S)
        await redis.start()
        await asyncio.sleep(_SETTLE_S)
        way.cut()
        figures.not_ready += await _look_for(cluster.urls, NODE_CUT_OFF_S)
        way.mend()
        await asyncio.sleep(_SETTLE_S)
    for person in people:
        figures.counted.add(person.counted())
    figures.failed = [person.failed for person in people if person.failed]
    figures.shown = sum(len(segment.words) for segment in shown.values())
    figures.left_open = sum(not segment.final for segment in shown.values())
    return figures


class _Cut(Protocol):
    def cut(self) -> None: ...

    def mend(self) -> None: ...


@asynccontextmanager
async def _way() -> AsyncIterator[tuple[RedisServer, _Cut, str]]:
    """Redis, what can be cut of the first node's way to it, and its address by that way."""
    if partition_missing() is None:
        with partition() as network:
            every, first = network.addresses
            async with redis_server(every, network.inside) as redis:
                yield redis, network, f"redis://{first}:{redis.port}"
    else:
        async with redis_server() as redis, way_to(redis.port) as way:
            yield redis, way, way.url


async def _look_for(urls: list[str], seconds: float) -> int:
    """How often a node was not ready while it was looked at once a second."""
    not_ready = 0
    for _ in range(round(seconds)):
        await asyncio.sleep(1.0)
        not_ready += sum([not await _is_ready(url) for url in urls])
    return not_ready


async def _is_ready(url: str) -> bool:
    host, _, port = url.removeprefix("ws://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.readline()
    writer.close()
    return b" 200 " in answer
