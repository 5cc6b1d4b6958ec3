"""The nodes as this one knows them: it tells of itself every second, and reads what the others told.

What a node told is kept for a few seconds only: one that is gone is known to be gone soon after, whatever it died of.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from captions.cluster.node import Node, read_node
from captions.rooms.ending import end
from captions.rooms.rooms import RoomsAway

if TYPE_CHECKING:
    from captions.rooms.bus import Bus

__all__ = ["BEAT_S", "Nodes"]

log = logging.getLogger(__name__)

BEAT_S = 1.0
_KEPT_S = 3.5
_CLAIMED_S = 30.0
_FEW = 3
_ONE_MORE = 0.02
"""How much fuller a node is taken to be for each client sent there, until it says itself."""


class Nodes:
    """`start` once this node can be described. Without a `bus` it is alone.

    `node`: this node's id; `describe`: what there is to say of it now. `bury`: sees to what a lost node has left; it is
    called at one of the others, once. `changed`: others take tracks than before.
    """

    def __init__(
        self,
        bus: Bus | None,
        node: str,
        describe: Callable[[], Node],
        bury: Callable[[str], Awaitable[None]],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._bus = bus
        self._node = node
        self._describe = describe
        self._bury = bury
        self._changed = changed
        self._takers: set[str] = set()
        self._others: dict[str, Node] = {}
        self._sent: dict[str, int] = {}
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._bus is not None:
            await self._beat(self._bus)
            self._beating = asyncio.create_task(self._beat_on(self._bus))

    async def stop(self, *, well: bool = True) -> None:
        """The others know at once that this node is gone; unless it ends `well`, one sees to what it has left."""
        if self._beating is not None:
            await end([self._beating])
        if self._bus is not None and well:
            with suppress(RoomsAway):
                await self._bus.node_left(self._node)

    async def tell(self) -> None:
        """Tell the others now: something has changed that cannot wait."""
        if self._bus is not None:
            await self._beat(self._bus)

    def all(self) -> list[Node]:
        """This node and the others, the emptiest first."""
        return sorted((self._describe(), *self._others.values()), key=lambda node: (node.draining, node.fullness))

    def elsewhere(self) -> str | None:
        """The address of the emptiest other node that takes tracks, to send a client to.

        A node that stops names one even if all are full: there they may yet be heard, here they cannot. Another front
        of this machine is never named: it has the same address, by which a client may come here again.
        """
        this = self._describe()
        apart = [node for node in self._others.values() if node.address != this.address]
        others = [node for node in apart if node.role != "watch" and not node.draining]
        candidates = [node for node in others if node.takes_tracks] or (others if this.draining else [])
        if not candidates:
            return None
        emptiest = min(candidates, key=lambda node: node.fullness + _ONE_MORE * self._sent.get(node.id, 0))
        self._sent[emptiest.id] = self._sent.get(emptiest.id, 0) + 1
        return emptiest.address

    def others(self, named: Sequence[str] = ()) -> list[str]:
        """The addresses of a few other nodes that take tracks, for when this one is lost.

        Those that were `named` before come first, so that nobody has to be told of others without need; then the
        emptiest.
        """
        candidates = [node for node in self._others.values() if node.takes_tracks]
        candidates.sort(key=lambda node: (node.address not in named, node.fullness))
        return [node.address for node in candidates[:_FEW]]

    async def _beat_on(self, bus: Bus) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            await self._beat(bus)

    async def _beat(self, bus: Bus) -> None:
        """What is known of the others stays while Redis is away: better an old address than none."""
        with suppress(RoomsAway):
            told = await bus.nodes(self._node, msgspec.json.encode(self._describe()), _KEPT_S)
            found = {name: node for name, payload in told.items() if payload and (node := read_node(payload))}
            self._others = {name: node for name, node in found.items() if name != self._node}
            self._sent.clear()
            takers = {node.address for node in self._others.values() if node.takes_tracks}
            if takers != self._takers:
                self._takers = takers
                self._changed()
            for name, payload in told.items():
                if payload is None and await bus.claim(name, self._node, _CLAIMED_S):
                    log.warning("a node was lost", extra={"lost": name})
                    await self._bury(name)
