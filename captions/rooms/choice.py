"""Which rooms a configuration asks for."""

from __future__ import annotations

from captions.config import Config
from captions.metrics import Metrics
from captions.rooms.memory import MemoryRooms
from captions.rooms.rooms import Rooms

__all__ = ["rooms_for"]

_REVISIONS_A_SEGMENT = 12
"""About as many as a segment of two lines has words: a stream that keeps the transcript keeps its revisions too."""
_FEWEST_ENTRIES = 1_000


def rooms_for(config: Config, metrics: Metrics, node: str) -> Rooms:
    """Rooms in memory or over Redis. `node`: what the others call this process."""
    if not config.cluster.redis:
        return MemoryRooms(config.rooms, config.limits.watchers_per_room)
    from captions.rooms.bus import Bus
    from captions.rooms.shared import SharedRooms

    most_entries = max(_FEWEST_ENTRIES, _REVISIONS_A_SEGMENT * config.rooms.transcript_segments)
    bus = Bus(config.cluster.redis, config.rooms.forget_after_s, most_entries)
    return SharedRooms(config.rooms, config.limits.watchers_per_room, bus, node, metrics, config.cluster.waiting_bytes)
