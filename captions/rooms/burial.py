"""What a lost node left open is closed for its watchers, as it stood."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from captions.rooms.bus import Bus
from captions.rooms.room import Kept, read_kept
from captions.rooms.rooms import Rooms
from captions.stream.captions import Latency, Segment

__all__ = ["bury"]

_PAGE = 200
_MOST_PAGES = 10
_segments = msgspec.json.Decoder(Segment)


async def bury(node: str, bus: Bus, rooms: Rooms, clock: Callable[[], float]) -> int:
    """Close the segments that a node left open in all of its rooms; returns how many. One node does it, see `claim`.

    What it said last is in the rooms' streams. To do it twice would harm nobody: the same revision would come again.

    Raises:
        RoomsAway: not all could be seen to.
    """
    closed = 0
    for room in await bus.rooms_of(node):
        for kept in await _left_open(node, room, bus):
            rooms.publish(_interrupted(_segments.decode(kept.payload)), clock())
            closed += 1
    await bus.node_left(node)
    return closed


async def _left_open(node: str, room: str, bus: Bus) -> list[Kept]:
    """The newest revisions, by that node, of segments of which there is no final one."""
    newest: dict[str, Kept] = {}
    position = None
    for _ in range(_MOST_PAGES):
        page = await bus.before(room, position, _PAGE)
        for at, by, payload in page:
            position = at
            kept = read_kept(payload, at)
            if kept is not None and (kept.final or by == node.encode()):
                known = newest.setdefault(kept.id, kept)
                if (kept.final, kept.revision) > (known.final, known.revision):
                    newest[kept.id] = kept
        if len(page) < _PAGE:
            break
    return [kept for kept in reversed(newest.values()) if not kept.final]


def _interrupted(segment: Segment) -> Segment:
    text = " ".join(word.text for word in segment.words)
    return msgspec.structs.replace(
        segment,
        revision=segment.revision + 1,
        final=True,
        interrupted=True,
        text=text,
        tentative="",
        latency=Latency(),
    )
