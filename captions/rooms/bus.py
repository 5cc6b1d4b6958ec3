"""What nodes share, in Redis: one stream a room, and what each told of itself.

The keys of a room carry one of 64 hash tags, so that a Redis Cluster spreads rooms over its machines and one blocking
read still follows all the rooms of a tag.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any
from zlib import crc32

import msgspec
from redis.exceptions import RedisError, ResponseError

from captions.rooms.outgoing import Entry
from captions.rooms.position import NOWHERE, Position
from captions.rooms.redis_client import redis_client
from captions.rooms.rooms import RoomsAway

__all__ = ["RETRY_S", "Bus", "StreamEntry"]

log = logging.getLogger(__name__)

_TAGS = 64
_SLACK = 0.05
"""A room is kept so much longer than it has to be, so that its end need not be moved with every word."""
RETRY_S = 0.25
"""After `RoomsAway` it is worth asking again."""
_BLOCK_MS = 100
"""How long a read waits for news: a room that is newly watched is live after no more than that."""

_MOST_KNOWN_KEYS = 20_000
_NODES = "captions:{nodes}"

_APPEND = """
local refused = {}
for index, entry in ipairs(cmsgpack.unpack(ARGV[1])) do
  local added = redis.pcall('XADD', KEYS[entry[1]], 'MAXLEN', '~', ARGV[3], '*', 'n', ARGV[2], 's', entry[2])
  if type(added) == 'table' then table.insert(refused, {index - 1, added.err}) end
end
for index, key in ipairs(KEYS) do
  if index <= tonumber(ARGV[7]) then
    local bytes, length = redis.pcall('MEMORY', 'USAGE', key), redis.pcall('XLEN', key)
    if type(bytes) == 'number' and type(length) == 'number' and bytes > tonumber(ARGV[4]) then
      redis.pcall('XTRIM', key, 'MAXLEN', '~', math.floor(length * tonumber(ARGV[4]) / bytes * 0.9))
    end
  end
  if redis.call('PTTL', key) < tonumber(ARGV[5]) then redis.pcall('PEXPIRE', key, ARGV[6]) end
end
return refused
"""
"""KEYS: the rooms'. ARGV: MessagePack of [which key, JSON] for each entry; node; entries and bytes a room may have; how
long it is kept at least, and how long from now on if that is too soon; how many of the keys, from the first, are
measured. Returns which were refused, and why.

One command for all entries of a turn: on the node, a command costs many times what it costs in Redis.
"""

_MEASURED_EVERY = 1 / 16
"""Of the bytes that a room may have: a node has the room measured whenever it has added so much. To measure it with
every turn was a fifth of what Redis does. A room is cut down that much early, and goes past what it may have by no
more than the nodes add that speak in it beside the one that measures: a sixteenth for each."""
_ENTRY_BYTES = 32
"""What Redis keeps of an entry beside its JSON, about."""

StreamEntry = tuple[Position, bytes, bytes]
"""Where it stands, which node said it, and the JSON of a caption's revision or a notice."""


class Bus:
    """One Redis, or the master that a Sentinel names, or a Cluster. Every call may raise `RoomsAway`.

    `url`: redis://, rediss:// or unix:// as the redis package takes them; redis+cluster://HOST:PORT, or
    redis+sentinel://HOST:PORT,HOST:PORT/MASTER (`rediss+` for TLS). `keep_s`: how long a room's stream is kept after
    its last entry. `most_entries`, `most_bytes`: about how many of them, and how much of Redis's memory they take.
    """

    def __init__(self, url: str, keep_s: float, most_entries: int, most_bytes: int) -> None:
        self._redis, self._is_cluster = redis_client(url)
        keep_ms = max(1, int(keep_s * 1_000))
        self._measured_every = int(most_bytes * _MEASURED_EVERY)
        self._limits = (most_entries, most_bytes - self._measured_every, keep_ms, int(keep_ms * (1 + _SLACK)))
        self._added: dict[str, int] = {}
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
            self._listed.clear()
            self._added.clear()
            raise RoomsAway(why) from error
        self.is_up = True

    def shard_of(self, room: str) -> int:
        """Rooms of one shard can be read together."""
        return crc32(room.encode()) % _TAGS if self._is_cluster else 0

    async def append(self, node: str, entries: Sequence[Entry]) -> list[Entry]:
        """Add to the rooms' streams, in order. Returns what Redis will not take for good.

        After `RoomsAway` some of it may be there all the same: to give it again harms nobody.
        """
        async with self._asking():
            await self._list_rooms(node, {entry.room for entry in entries})
            shards: dict[int, list[Entry]] = defaultdict(list)
            for entry in entries:
                shards[self.shard_of(entry.room)].append(entry)
            found = await asyncio.gather(*(self._append(node, part) for part in shards.values()))
        refused = [one for part in found for one in part]
        if refused and len(refused) == len(entries):
            raise RoomsAway(f"Redis: {refused[0][1]}")
        return [entry for entry, _ in refused]

    async def _append(self, node: str, entries: list[Entry]) -> list[tuple[Entry, str]]:
        """To rooms of one shard; what was refused, and why."""
        added: dict[str, int] = defaultdict(int)
        for entry in entries:
            added[entry.room] += len(entry.payload) + _ENTRY_BYTES
        added = {room: self._added.get(room, self._measured_every) + size for room, size in added.items()}
        due = {room for room, size in added.items() if size >= self._measured_every}
        self._added |= added | dict.fromkeys(due, 0)
        keys = {_key(room): number for number, room in enumerate(dict.fromkeys((*due, *added)), 1)}
        packed = msgspec.msgpack.encode([(keys[_key(entry.room)], entry.payload) for entry in entries])
        refused = await self._redis.eval(_APPEND, len(keys), *keys, packed, node, *self._limits, len(due))
        return [(entries[index], why.decode()) for index, why in refused]

    async def _list_rooms(self, node: str, rooms: set[str]) -> None:
        """Which rooms a node has to do with: before it speaks there, so that who buries it finds them."""
        new, forgotten = rooms - self._listed, self._forgotten.copy()
        if not new and not forgotten:
            return
        pipeline = self._redis.pipeline(transaction=False)
        if forgotten:
            pipeline.srem(_rooms_key(node), *forgotten)
        if new:
            pipeline.sadd(_rooms_key(node), *new)
        await pipeline.execute()
        self._listed |= new
        self._forgotten -= forgotten

    async def read(self, positions: Mapping[str, Position]) -> list[tuple[str, list[StreamEntry]]]:
        """What came behind each room's position, some of it if it is much; waits a moment for it."""
        streams: dict[Any, Any] = {_key(room): _id(position) for room, position in positions.items()}
        rooms = dict(zip(streams, positions, strict=True))
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
        self._added.pop(room, None)
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


@lru_cache(_MOST_KNOWN_KEYS)
def _key(room: str) -> bytes:
    return f"captions:{{{crc32(room.encode()) % _TAGS}}}:room:{room}".encode()


@lru_cache(_MOST_KNOWN_KEYS)
def _id(position: Position) -> bytes:
    """As Redis writes it: most rooms are asked for from the same position many times."""
    return str(position).encode()


def _entries(found: Any) -> list[StreamEntry]:
    """Entries as the redis package gives them; what others have put into a stream of ours has no JSON."""
    return [(_position(at), fields.get(b"n", b""), fields.get(b"s", b"")) for at, fields in found]


def _position(at: bytes) -> Position:
    ms, _, number = at.partition(b"-")
    return Position(int(ms), int(number))
