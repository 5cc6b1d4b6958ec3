"""Three speech nodes under forty people who talk: nodes are killed, or restarted one by one, again and again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from bench.cluster.one_address import one_address
from bench.cluster.talkers import Counted, Talker
from bench.servers.own_server import OwnServer, own_server
from bench.servers.redis_server import RedisServer
from captions.client import watch
from captions.doors.native.messages import Segment

__all__ = ["NodeFigures", "measure_kills", "measure_restarts", "talking"]

_BETWEEN_S = 6.0
_KNOWN_S = 2.5
_PATIENCE_S = 20.0


@dataclass(slots=True)
class NodeFigures:
    """`again_s`: from a kill to the next word of each of its talkers, by quantile. `open_for_ever`: segments."""

    rounds: int = 0
    moved: int = 0
    again_s: dict[str, float] = field(default_factory=dict)
    counted: Counted = field(default_factory=Counted)
    interrupted: int = 0
    open_for_ever: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Cluster:
    redis: RedisServer
    nodes: list[tuple[AbstractContextManager[OwnServer], OwnServer]] = field(default_factory=list)

    @property
    def urls(self) -> list[str]:
        return [server.url for _, server in self.nodes]

    async def add(self, way: str = "") -> OwnServer:
        """`way`: the address by which the node comes to Redis, if it is not its own."""
        settings: dict[str, dict[str, object]] = {
            "cluster": {"redis": way or self.redis.url, "role": "speech"},
            "server": {"drain_s": _PATIENCE_S},
        }
        context = own_server("scripted", 64, settings=settings)
        server = await asyncio.to_thread(context.__enter__)
        self.nodes.append((context, server))
        return server

    async def end(self, index: int) -> None:
        """As a rolling update does; returns once the node has ended."""
        context, _ = self.nodes.pop(index)
        await asyncio.to_thread(context.__exit__, None, None, None)

    async def kill(self, index: int) -> None:
        os.kill(self.nodes[index][1].pid, signal.SIGKILL)
        await self.end(index)


@asynccontextmanager
async def talking(
    redis: RedisServer, talkers: int, *, first_way: str = "", direct: bool = False
) -> AsyncIterator[tuple[_Cluster, list[Talker], dict[str, Segment]]]:
    """Three nodes, who talks to them by one address, and the newest of every segment as a fourth shows it.

    `direct`: everybody comes to a node's own address instead, and knows of the others what nodes say.
    """
    cluster = _Cluster(redis)
    for way in (first_way, "", ""):
        await cluster.add(way)
    gateway = own_server("scripted", 1, settings={"cluster": {"redis": redis.url, "role": "watch"}})
    gate = await asyncio.to_thread(gateway.__enter__)
    shown: dict[str, Segment] = {}
    watching = asyncio.create_task(_watch(gate.url, shown))
    await asyncio.sleep(_KNOWN_S)
    try:
        async with (
            one_address(lambda: cluster.urls) as url,
            _people(cluster.urls if direct else [url], talkers) as people,
        ):
            yield cluster, people, shown
        await asyncio.sleep(_BETWEEN_S)
    finally:
        watching.cancel()
        while cluster.nodes:
            await cluster.end(0)
        await asyncio.to_thread(gateway.__exit__, None, None, None)


@asynccontextmanager
async def _people(urls: list[str], talkers: int) -> AsyncIterator[list[Talker]]:
    people = [Talker(urls[number % len(urls)], f"t{number}") for number in range(talkers)]
    tasks = []
    for person in people:
        tasks.append(asyncio.create_task(person.run()))
        await asyncio.sleep(0.05)
    await asyncio.sleep(_BETWEEN_S)
    try:
        yield people
    finally:
        for person in people:
            person.stop()
        await asyncio.wait(tasks, timeout=2 * _PATIENCE_S)


async def measure_kills(redis: RedisServer, talkers: int, kills: int, *, direct: bool) -> NodeFigures:
    figures = NodeFigures()
    again: list[float] = []
    loop = asyncio.get_running_loop()
    async with talking(redis, talkers, direct=direct) as (cluster, people, shown):
        for _ in range(kills):
            killed = cluster.nodes[0][1]
            tracks = int(killed.metric("captions_tracks"))
            killed_at = loop.time()
            await cluster.kill(0)
            figures.moved += tracks
            again += await _waits(people, killed_at)
            await cluster.add()
            await asyncio.sleep(_BETWEEN_S)
            figures.rounds += 1
    return _summed(figures, people, shown, again)


async def measure_restarts(redis: RedisServer, talkers: int, restarts: int, *, direct: bool) -> NodeFigures:
    figures = NodeFigures()
    async with talking(redis, talkers, direct=direct) as (cluster, people, shown):
        for _ in range(restarts):
            figures.moved += int(cluster.nodes[0][1].metric("captions_tracks"))
            await cluster.add()
            await asyncio.sleep(_KNOWN_S)
            await cluster.end(0)
            figures.rounds += 1
    return _summed(figures, people, shown, [])


async def _waits(people: list[Talker], since: float) -> list[float]:
    """How long each talker waited for the first word after a moment, the slowest third, who were at the lost node."""
    loop = asyncio.get_running_loop()
    waited: dict[str, float] = {}
    while len(waited) < len(people) and loop.time() - since < _PATIENCE_S:
        for person in people:
            if person.word_at > since and person.name not in waited:
                waited[person.name] = person.word_at - since
        await asyncio.sleep(0.01)
    missing = len(people) - len(waited)
    return sorted([*waited.values(), *[_PATIENCE_S] * missing])[-(len(people) // 3) :]


async def _watch(url: str, shown: dict[str, Segment]) -> None:
    async with watch(url, "counting") as captions:
        async for caption in captions:
            if isinstance(caption, Segment):
                shown[caption.id] = caption


def _summed(figures: NodeFigures, people: list[Talker], shown: dict[str, Segment], again: list[float]) -> NodeFigures:
    for person in people:
        figures.counted.add(person.counted())
    figures.failed = [person.failed for person in people if person.failed]
    figures.interrupted = sum(segment.interrupted for segment in shown.values())
    figures.open_for_ever = sum(not segment.final for segment in shown.values())
    if again:
        quantiles = np.quantile(again, [0.5, 0.95, 1.0])
        figures.again_s = {name: round(float(q), 2) for name, q in zip(("p50", "p95", "max"), quantiles, strict=True)}
    return figures
