"""What is said at this node is told the others: one request at a time, each with all that was said meanwhile."""

from __future__ import annotations

import asyncio

from captions.metrics import Metrics
from captions.rooms.bus import RETRY_S, Bus
from captions.rooms.outgoing import Entry, Outgoing
from captions.rooms.room import Kept, read_kept
from captions.rooms.rooms import MISSED, RoomsAway

__all__ = ["Telling"]

_PACE_S = 0.002
"""Between two requests: what is said meanwhile goes together. What is said after a rest goes at once."""


class Telling:
    """`put` never waits; `run` for as long as the node lives. While Redis is away entries wait, see `Outgoing`."""

    def __init__(self, bus: Bus, node: str, metrics: Metrics, kept_bytes: int) -> None:
        self._bus = bus
        self._node = node
        self._metrics = metrics
        self._outgoing = Outgoing(kept_bytes)
        self._under_way: list[Entry] = []
        self._said = asyncio.Event()
        self._all_told = asyncio.Event()
        self._all_told.set()

    def __len__(self) -> int:
        return len(self._outgoing)

    def put(self, entry: Entry) -> None:
        self._outgoing.put(entry)
        self._metrics.bus_waiting_bytes.set(self._outgoing.waiting_bytes)
        self._all_told.clear()
        self._said.set()

    def untold(self, name: str) -> list[Kept]:
        """What was said here in a room and may not be in its stream yet."""
        entries = self._outgoing.of(name) + [entry for entry in self._under_way if entry.room == name]
        return [kept for entry in entries if (kept := read_kept(entry.payload.encode(), None)) is not None]

    async def done(self) -> None:
        """Wait until the others were told everything."""
        await self._all_told.wait()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._said.wait()
            self._said.clear()
            while self._outgoing:
                began_at = loop.time()
                await self._tell()
                if not self._outgoing:
                    self._all_told.set()
                await asyncio.sleep(max(0.0, began_at + _PACE_S - loop.time()))

    async def _tell(self) -> None:
        entries = self._under_way = self._outgoing.take()
        losses = self._outgoing.losses()
        entries += [Entry(room, f"{MISSED}{room}", MISSED) for room in losses]
        try:
            refused = await self._bus.append(self._node, entries)
        except RoomsAway:
            self._outgoing.back(entries)
            await asyncio.sleep(RETRY_S)
        else:
            self._metrics.bus_published.inc(len(entries) - len(refused))
            self._metrics.bus_lost.inc(len(refused))
        self._under_way = []
        self._metrics.bus_lost.inc(self._outgoing.lost)
        self._outgoing.lost = 0
        self._metrics.bus_waiting_bytes.set(self._outgoing.waiting_bytes)
