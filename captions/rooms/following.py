"""The streams of the rooms that are watched at this node, read on from where each is: all of a shard in one request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from captions.rooms.bus import RETRY_S, Bus, StreamEntry
from captions.rooms.position import Position
from captions.rooms.rooms import RoomsAway

__all__ = ["Following"]

_SLICE = 50
"""About so many entries are taken from the streams before others get their turn on the event loop."""
_PACE_S = 0.002
_PACE_A_ROOM_S = 20e-6
"""Between the beginnings of two reads: what comes meanwhile comes together. To ask for a room costs the node 2 us and
Redis 1 us, whether there is news or not: a tenth of the node's core, however many rooms there are."""


class Following:
    """`take` gets every entry of a followed room, in order and as many as have come; `missed`: some of a room's entries
    are kept no longer.
    """

    def __init__(self, bus: Bus, take: Callable[[str, list[StreamEntry]], None], missed: Callable[[str], None]) -> None:
        self._bus = bus
        self._take = take
        self._missed = missed
        self._positions: dict[int, dict[str, Position]] = {}
        self._reading: set[int] = set()

    def follow(self, name: str, position: Position) -> Coroutine[Any, Any, None] | None:
        """Have a room read on from a position. Returns what is to be run for that, if it is not running yet."""
        shard = self._bus.shard_of(name)
        self._positions.setdefault(shard, {})[name] = position
        if shard in self._reading:
            return None
        self._reading.add(shard)
        return self._read(shard)

    def unfollow(self, name: str) -> None:
        self._positions.get(self._bus.shard_of(name), {}).pop(name, None)

    async def _read(self, shard: int) -> None:
        """Follow all the rooms of a shard; ends when there are none."""
        positions = self._positions[shard]
        loop = asyncio.get_running_loop()
        was_away = False
        while positions:
            began_at = loop.time()
            try:
                if was_away:
                    await self._tell_of_holes(dict(positions))
                news = await self._bus.read(positions)
            except RoomsAway:
                was_away = True
                await asyncio.sleep(RETRY_S)
                continue
            was_away = False
            taken = 0
            for name, entries in news:
                if name in positions:
                    positions[name] = entries[-1][0]
                    self._take(name, entries)
                    taken += len(entries)
                if taken >= _SLICE:
                    taken = 0
                    await asyncio.sleep(0)
            pace_s = max(_PACE_S, len(positions) * _PACE_A_ROOM_S)
            await asyncio.sleep(max(0.0, began_at + pace_s - loop.time()))
        self._reading.discard(shard)

    async def _tell_of_holes(self, positions: dict[str, Position]) -> None:
        for name, position in positions.items():
            if not await self._bus.has_all_since(name, position) and name in self._positions[self._bus.shard_of(name)]:
                self._missed(name)
