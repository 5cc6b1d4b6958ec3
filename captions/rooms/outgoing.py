"""What a node has said and the others have not been told yet: bounded in bytes, compacted before anything is lost."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

__all__ = ["Entry", "Outgoing"]

_COMPACT_AT_BYTES = 1 << 20
_MOST_AT_ONCE = 1_000
_MOST_BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a room's stream: a revision of the caption with that id."""

    room: str
    caption: str
    payload: str


class Outgoing:
    """`put` as it is said; `take` what goes next, and `back` with what could not be told.

    While it cannot go, a caption's newest revision replaces the older ones: words only grow, so nothing is lost by
    that. Past `most_bytes` the oldest goes, and its room is among the `losses` that the next `take` tells of.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._waiting: deque[Entry] = deque()
        self._compact_at = _COMPACT_AT_BYTES
        self._losses: set[str] = set()
        self.waiting_bytes = 0
        self.lost = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, entry: Entry) -> None:
        self._waiting.append(entry)
        self.waiting_bytes += len(entry.payload)
        if self.waiting_bytes > self._compact_at:
            self._compact()

    def take(self) -> list[Entry]:
        """The oldest entries, as many as go well in one request; no longer kept here."""
        taken: list[Entry] = []
        size = 0
        while self._waiting and len(taken) < _MOST_AT_ONCE and size < _MOST_BYTES_AT_ONCE:
            entry = self._waiting.popleft()
            size += len(entry.payload)
            taken.append(entry)
        self.waiting_bytes -= size
        return taken

    def back(self, entries: list[Entry]) -> None:
        """These could not be told: they are the oldest again."""
        self._waiting.extendleft(reversed(entries))
        self.waiting_bytes += sum(len(entry.payload) for entry in entries)
        self._compact()

    def of(self, room: str) -> list[Entry]:
        """What of a room still waits."""
        return [entry for entry in self._waiting if entry.room == room]

    def losses(self) -> set[str]:
        """The rooms of which something was lost since this was last asked."""
        losses, self._losses = self._losses, set()
        return losses

    def _compact(self) -> None:
        """Only now and then, so that each entry is looked at a few times at most, however long nothing can go."""
        newest = {entry.caption: entry for entry in self._waiting}
        self._waiting = deque(entry for entry in self._waiting if newest[entry.caption] is entry)
        self.waiting_bytes = sum(len(entry.payload) for entry in self._waiting)
        while self.waiting_bytes > self._most_bytes:
            gone = self._waiting.popleft()
            self.waiting_bytes -= len(gone.payload)
            self._losses.add(gone.room)
            self.lost += 1
        self._compact_at = max(_COMPACT_AT_BYTES, min(2 * self.waiting_bytes, self._most_bytes))
