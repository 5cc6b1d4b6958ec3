"""What the bus adds: a node that publishes in one process, one whose watchers receive in this one, and Redis between.

python -m bench.cluster.bus URL ROOMS RATE SECONDS      is the node that publishes
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass

import numpy as np

from bench.measure.process import cpu_s
from bench.servers.redis_server import RedisServer
from captions.config import RoomsConfig
from captions.metrics import Metrics
from captions.rooms.bus import Bus
from captions.rooms.shared import SharedRooms
from captions.stream.captions import CaptionWord, Latency, Participant, Segment

__all__ = ["BusFigures", "measure_bus", "node_over", "revision_of"]

_TURN_S = 0.005
_WORDS = ["it", "was", "the", "best", "of", "times", "it", "was", "the", "worst", "of", "times", "it", "was"]
_WARM_UP_S = 1.0


@dataclass(frozen=True, slots=True)
class BusFigures:
    """`added_ms`: from being published to reaching a watcher of another node, by quantile. CPU in shares of a core.

    `skipped`: revisions that came together with a newer one of their segment.
    """

    rate: float
    received: int
    skipped: int
    missing: int
    added_ms: dict[str, float]
    redis_cpu: float
    publisher_cpu: float
    receiver_cpu: float
    redis_mb: float


class _Watcher:
    def __init__(self, delays: list[float]) -> None:
        self._delays = delays

    def send(self, payload: str, of: str | None = None) -> None:
        """The segment's `said_at` is when it was published, by the clock of this machine."""
        del of
        _, _, rest = payload.partition('"said_at":')
        self._delays.append(time.time() - float(rest.partition(",")[0]))


async def measure_bus(redis: RedisServer, rooms: int, rate: float, seconds: float) -> BusFigures:
    delays: list[float] = []
    metrics = Metrics()
    receiver = node_over(redis.url, "receiver", metrics=metrics)
    await receiver.start()
    watcher = _Watcher(delays)
    for number in range(rooms):
        receiver.watch(f"room {number}", watcher, 0.0)
    await asyncio.sleep(_WARM_UP_S)
    publisher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.cluster.bus", redis.url, str(rooms), str(rate), str(seconds)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert publisher.stdout is not None
    await publisher.stdout.readline()
    before = cpu_s(redis.pid), time.process_time(), time.monotonic()
    published = json.loads(await publisher.stdout.readline())
    took_s = time.monotonic() - before[2]
    redis_cpu = (cpu_s(redis.pid) - before[0]) / took_s
    receiver_cpu = (time.process_time() - before[1]) / took_s
    await publisher.wait()
    await asyncio.sleep(_WARM_UP_S)
    await receiver.stop()
    quantiles = np.quantile(delays, [0.5, 0.95, 0.99, 1.0]) * 1_000 if delays else [0.0] * 4
    skipped = int(metrics.registry.get_sample_value("captions_revisions_skipped_total", {"behind": "node"}) or 0)
    return BusFigures(
        rate=published["published"] / took_s,
        received=len(delays),
        skipped=skipped,
        missing=published["published"] - len(delays) - skipped,
        added_ms={name: round(float(q), 2) for name, q in zip(("p50", "p95", "p99", "max"), quantiles, strict=True)},
        redis_cpu=redis_cpu,
        publisher_cpu=published["cpu_s"] / took_s,
        receiver_cpu=receiver_cpu,
        redis_mb=_resident_mb(redis.pid),
    )


def _resident_mb(pid: int) -> float:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def node_over(url: str, name: str, forget_after_s: float = 600.0, metrics: Metrics | None = None) -> SharedRooms:
    """What a node has of the rooms, without a server."""
    bus = Bus(url, forget_after_s, 12_000, 16 << 20)
    return SharedRooms(RoomsConfig(forget_after_s=forget_after_s), 10, bus, name, metrics or Metrics(), 16 << 20)


async def _publish(url: str, rooms: int, rate: float, seconds: float) -> None:
    node = node_over(url, "publisher")
    await node.start()
    print("ready", flush=True)
    cpu_before, began_at, published = time.process_time(), time.monotonic(), 0
    while (elapsed := time.monotonic() - began_at) < seconds:
        while published < elapsed * rate:
            node.publish(revision_of(published, rooms), 0.0)
            published += 1
        await asyncio.sleep(_TURN_S)
    spent_s = time.process_time() - cpu_before
    print(json.dumps({"published": published, "cpu_s": spent_s}), flush=True)
    await node.stop()


def revision_of(number: int, rooms: int) -> Segment:
    """The next revision of a room's segment, as long as they are on average: each has one word more, to thirteen."""
    room, turn = number % rooms, number // rooms
    revision = turn % len(_WORDS)
    words = [CaptionWord(word, index * 0.3, index * 0.3 + 0.2) for index, word in enumerate(_WORDS[: revision + 1])]
    return Segment(
        room=f"room {room}",
        track="TR_AMqW5",
        participant=Participant("PA_zoe", "Zoé"),
        id=f"{turn // len(_WORDS):08x}-{room:08x}",
        revision=revision,
        final=revision == len(_WORDS) - 1,
        start=0.0,
        end=words[-1].end,
        text=" ".join(word.text for word in words),
        words=words,
        latency=Latency(455.0, 60.0, 330.0, 0.0, 2.0, 61.0, 2.0),
        said_at=time.time(),
    )


if __name__ == "__main__":
    asyncio.run(_publish(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
