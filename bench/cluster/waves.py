"""Rooms that come and go: what is left of them in the nodes and in Redis once they are forgotten."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from dataclasses import dataclass

import msgspec
from redis.asyncio import Redis

from bench.cluster.bus import node_over, revision_of
from bench.servers.redis_server import RedisServer
from captions.rooms.shared import SharedRooms
from captions.server.memory import give_memory_back

__all__ = ["WaveFigures", "measure_waves"]

_FORGET_AFTER_S = 15.0
_REVISIONS = 14
_AT_ONCE = 250
_GONE_WITHIN_S = 60.0
_KEPT_KEYS = 2
"""The room that goes on, and the list of the rooms in which its node speaks."""


@dataclass(frozen=True, slots=True)
class WaveFigures:
    """Memory of both nodes together, which are this process, and of Redis, in MB: before, when full, and after."""

    rooms: int
    received: int
    nodes_mb: list[float]
    redis_mb: list[float]
    kb_a_room: float
    left: int
    keys_left: list[str]


class _Reader:
    """Counts segments that are over: of revisions that come together only the last is shown."""

    def __init__(self) -> None:
        self.received = 0

    def send(self, payload: str, of: str | None = None) -> None:
        del of
        self.received += '"final":true' in payload


async def measure_waves(redis: RedisServer, rooms: int, waves: int = 3) -> list[WaveFigures]:
    """The first wave warms up: what a process has once had of the machine it keeps."""
    speaks, shows = (node_over(redis.url, name, _FORGET_AFTER_S) for name in ("speaks", "shows"))
    await speaks.start()
    await shows.start()
    async with Redis.from_url(redis.url) as client:
        found = [await _wave(client, speaks, shows, rooms) for _ in range(waves)]
    await shows.stop()
    await speaks.stop()
    return found


async def _wave(client: Redis, speaks: SharedRooms, shows: SharedRooms, rooms: int) -> WaveFigures:
    nodes_mb, redis_mb = [_own_mb()], [await _redis_mb(client)]
    reader = _Reader()
    for first in range(0, rooms, _AT_ONCE):
        names = [f"room {number}" for number in range(first, min(first + _AT_ONCE, rooms))]
        for name in names:
            shows.watch(name, reader, time.monotonic())
        await asyncio.gather(*(shows.shown(name, reader) for name in names))
        for turn in range(_REVISIONS):
            for number in range(first, first + len(names)):
                speaks.publish(revision_of(turn * rooms + number, rooms), time.monotonic())
        wanted = first + len(names)
        async with asyncio.timeout(_GONE_WITHIN_S):
            while reader.received < wanted:  # noqa: ASYNC110 -- another process brings it about
                await asyncio.sleep(0.001)
        for name in names:
            shows.leave(name, reader)
    nodes_mb.append(_own_mb())
    redis_mb.append(await _redis_mb(client))
    until = time.monotonic() + _GONE_WITHIN_S
    while await client.dbsize() > _KEPT_KEYS and time.monotonic() < until:
        await asyncio.sleep(0.2)
        for node in (speaks, shows):
            node.forget_idle(time.monotonic())
        speaks.publish(msgspec.structs.replace(revision_of(0, 1), room="another"), time.monotonic())
    nodes_mb.append(_own_mb())
    redis_mb.append(await _redis_mb(client))
    return WaveFigures(
        rooms=rooms,
        received=reader.received,
        nodes_mb=nodes_mb,
        redis_mb=redis_mb,
        kb_a_room=(redis_mb[1] - redis_mb[0]) * 1_000 / rooms,
        left=len(speaks) + len(shows),
        keys_left=[str(key) for key in await client.keys()],
    )


def _own_mb() -> float:
    """Of this process without its children, once it has let go of what it freed, as a server does now and then."""
    gc.collect()
    give_memory_back()
    with open("/proc/self/statm", encoding="ascii") as file:
        return round(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


async def _redis_mb(client: Redis) -> float:
    return round(float((await client.info("memory"))["used_memory"]) / 1e6, 1)
