"""Which rooms a configuration asks for. The redis package is imported only where it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from captions.config import Config
from captions.metrics import Metrics
from captions.rooms.memory import MemoryRooms
from captions.rooms.rooms import Rooms

if TYPE_CHECKING:
    from captions.rooms.bus import Bus

__all__ = ["bus_for", "rooms_for"]

_REVISIONS_A_SEGMENT = 12
"""About as many as a segment of two lines has words: a stream that keeps the transcript keeps its revisions too."""
_FEWEST_ENTRIES = 1_000


def bus_for(config: Config) -> Bus | None:
    """What the nodes share, if anything. Nothing is asked of it yet."""
    if not config.cluster.redis:
        return None
    from captions.rooms.bus import Bus

    most_entries = max(_FEWEST_ENTRIES, _REVISIONS_A_SEGMENT * config.rooms.transcript_segments)
    return Bus(config.cluster.redis, config.rooms.forget_after_s, most_entries, config.cluster.room_bytes)


def rooms_for(config: Config, metrics: Metrics, bus: Bus | None, node: str) -> Rooms:
    """Rooms in memory or over a bus. `node`: what the others call this process."""
    if bus is None:
        return MemoryRooms(config.rooms, config.limits.watchers_per_room)
    from captions.rooms.shared import SharedRooms

    return SharedRooms(config.rooms, config.limits.watchers_per_room, bus, node, metrics, config.cluster.waiting_bytes)
