"""What nodes share, in Redis: one stream a room, and what each told of itself. The only importer of redis.

The keys of a room carry one of 64 hash tags, so that a Redis Cluster spreads rooms over its machines and one blocking
read still follows all the rooms of a tag.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from zlib import crc32

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from captions.rooms.outgoing import Entry
from captions.rooms.position import NOWHERE, Position
from captions.rooms.rooms import RoomsAway

__all__ = ["Bus", "StreamEntry"]

log = logging.getLogger(__name__)

_TAGS = 64
_SLACK = 0.05
"""A room is kept so much longer than it has to be, so that Redis need not be told with every word."""
_TIMEOUT_S = 1.0
"""A Redis that has not answered for so long is away."""
_BLOCK_MS = 100
"""How long a read waits for news: a room that is newly watched is live after no more than that."""

_NODES = "captions:{nodes}"

StreamEntry = tuple[Position, bytes, bytes]
"""Where it stands, which node said it, and the JSON of a caption's revision or a notice."""


class Bus:
    """One Redis, or the master that a Sentinel names, or a Cluster. Every call may raise `RoomsAway`.

    `url`: redis://, rediss:// or unix:// as the redis package takes them; redis+cluster://HOST:PORT, or
    redis+sentinel://HOST:PORT,HOST:PORT/MASTER (`rediss+` for TLS). `keep_s`: how long a room's stream is kept after
    its last entry. `most_entries`: about how many of them.
    """

    def __init__(self, url: str, keep_s: float, most_entries: int) -> None:
        self._redis, self._is_cluster = _client(url)
        self._keep_s = max(0.001, keep_s)
        self._kept_at: dict[str, float] = {}
        self._most_entries = most_entries
        self._listed: set[str] = set()
        self._forgotten: set[str] = set()
        self.is_up = False
        """Redis answered when it was last asked."""

    async def close(self) -> None:
        await self._redis.aclose()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        try:
            yield
        except (RedisError, OSError, TimeoutError) as error:
            why = f"Redis: {error}" if isinstance(error, ResponseError) else "Redis cannot be reached"
            if self.is_up:
                log.warning("the other nodes cannot be reached", extra={"error": why})
            self.is_up = False
            raise RoomsAway(why) from error
        if not self.is_up:
            self._listed.clear()
            self._kept_at.clear()
        self.is_up = True

    def shard_of(self, room: str) -> int:
        """Rooms of one shard can be read together."""
        return crc32(room.encode()) % _TAGS if self._is_cluster else 0

    async def append(self, node: str, entries: Sequence[Entry]) -> list[Entry]:
        """Add to the rooms' streams, in order and in one round trip. Returns what Redis will not take for good.

        After `RoomsAway` some of it may be there all the same: to give it again harms nobody.
        """
        async with self._asking():
            pipeline = self._redis.pipeline(transaction=False)
            for entry in entries:
                fields: dict[Any, Any] = {"n": node, "s": entry.payload}
                pipeline.xadd(_key(entry.room), fields, maxlen=self._most_entries, approximate=True)
            spoken_in = {entry.room for entry in entries}
            now = time.monotonic()
            fading = [room for room in spoken_in if now - self._kept_at.get(room, -math.inf) > self._keep_s * _SLACK]
            for room in fading:
                pipeline.pexpire(_key(room), int(self._keep_s * (1 + _SLACK) * 1_000))
            for room in spoken_in - self._listed:
                pipeline.sadd(_rooms_key(node), room)
            for room in self._forgotten:
                pipeline.srem(_rooms_key(node), room)
            results = (await pipeline.execute(raise_on_error=False))[: len(entries)]
        self._listed |= spoken_in
        self._forgotten.clear()
        self._kept_at |= dict.fromkeys(fading, now)
        refused = [entry for entry, result in zip(entries, results, strict=True) if isinstance(result, Exception)]
        if len(refused) == len(entries):
            raise RoomsAway(str(results[0]))
        return refused

    async def read(self, positions: Mapping[str, Position]) -> list[tuple[str, list[StreamEntry]]]:
        """What came behind each room's position, some of it if it is much; waits a moment for it."""
        rooms = {_key(room).encode(): room for room in positions}
        streams: dict[Any, Any] = {_key(room): str(position) for room, position in positions.items()}
        count = max(10, 2_000 // len(positions))
        async with self._asking():
            found = await self._redis.xread(streams, count=count, block=_BLOCK_MS)
        return [(rooms[key], _entries(entries)) for key, entries in found]

    async def after(self, room: str, position: Position, count: int) -> list[StreamEntry]:
        """The first entries behind a position."""
        async with self._asking():
            return _entries(await self._redis.xrange(_key(room), f"({position}", "+", count))

    async def before(self, room: str, position: Position | None, count: int) -> list[StreamEntry]:
        """The last entries before a position, or of all; newest first."""
        end = "+" if position is None else f"({position}"
        async with self._asking():
            return _entries(await self._redis.xrevrange(_key(room), end, "-", count))

    async def has_all_since(self, room: str, position: Position) -> bool:
        """Whether nothing behind a position has been trimmed or lost: something at or before it is still there."""
        if position == NOWHERE:
            return True
        async with self._asking():
            return bool(await self._redis.xrange(_key(room), "-", str(position), 1))

    async def nodes(self, node: str, told: bytes, keep_s: float) -> dict[str, bytes | None]:
        """Tell of one node, for a while, and what all of them told; None for one that has not lately."""
        async with self._asking():
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.set(f"{_NODES}:{node}", told, px=int(keep_s * 1_000))
            pipeline.sadd(_NODES, node)
            pipeline.smembers(_NODES)
            known = sorted(name.decode() for name in (await pipeline.execute())[2])
            return dict(zip(known, await self._redis.mget([f"{_NODES}:{name}" for name in known]), strict=True))

    def forget(self, room: str) -> None:
        """A node has nothing to do with a room any more, and need not be asked for what it said there."""
        self._kept_at.pop(room, None)
        if room in self._listed:
            self._listed.discard(room)
            self._forgotten.add(room)

    async def rooms_of(self, node: str) -> list[str]:
        """The rooms in which a node has lately spoken."""
        async with self._asking():
            return sorted(room.decode() for room in await self._redis.smembers(_rooms_key(node)))

    async def claim(self, node: str, by: str, keep_s: float) -> bool:
        """Whether it is this node that sees to what a lost one left; the claim ends by itself."""
        async with self._asking():
            return bool(await self._redis.set(f"{_NODES}:{node}:claim", by, nx=True, px=int(keep_s * 1_000)))

    async def node_left(self, node: str) -> None:
        """Nothing of a node is to be seen to any more."""
        async with self._asking():
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.delete(f"{_NODES}:{node}", f"{_NODES}:{node}:claim", _rooms_key(node))
            pipeline.srem(_NODES, node)
            await pipeline.execute()


def _rooms_key(node: str) -> str:
    return f"{_NODES}:{node}:rooms"


def _key(room: str) -> str:
    return f"captions:{{{crc32(room.encode()) % _TAGS}}}:room:{room}"


def _entries(found: Any) -> list[StreamEntry]:
    """Entries as the redis package gives them; what others have put into a stream of ours has no JSON."""
    return [(Position.parse(at.decode()), fields.get(b"n", b""), fields.get(b"s", b"")) for at, fields in found]


def _client(url: str) -> tuple[Any, bool]:
    """The package's client for an address, and whether it is one of a Cluster. Connects when first used."""
    options: dict[str, Any] = {
        "socket_timeout": _TIMEOUT_S,
        "socket_connect_timeout": _TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    split = urlsplit(url)
    scheme, _, kind = split.scheme.partition("+")
    plain = urlunsplit(split._replace(scheme=scheme))
    if kind == "cluster":
        return RedisCluster.from_url(plain, **options), True
    if kind == "sentinel":
        hosts = split.netloc.rpartition("@")[2].split(",")
        sentinels = [(host.partition(":")[0], int(host.partition(":")[2] or 26_379)) for host in hosts]
        login = {"username": split.username, "password": split.password, "ssl": scheme == "rediss"}
        sentinel: Any = Sentinel(sentinels, sentinel_kwargs=options, **options, **login)  # type: ignore[no-untyped-call]
        return sentinel.master_for(split.path.strip("/")), False
    return Redis.from_url(plain, **options), False
