"""The rooms of a server, whichever way they are kept: in its own memory, or over Redis with the other nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec

from captions.rooms.position import Position
from captions.rooms.transcripts import Transcript
from captions.stream.captions import Caption, Missed

__all__ = ["MISSED", "RoomCensus", "RoomFull", "Rooms", "RoomsAway", "Watcher"]

MISSED = msgspec.json.encode(Missed()).decode()
"""What a watcher is told who can no longer be shown all that was said since it was last here."""


class RoomFull(Exception):
    """A room has as many watchers as it may."""


class RoomsAway(Exception):
    """What the rooms are kept in cannot be reached; the message says so in a line."""


@dataclass(frozen=True, slots=True)
class RoomCensus:
    """What an operator sees of a room: `speaking` segments under way, `idle_s` since somebody spoke or came."""

    name: str
    watchers: int
    speaking: int
    idle_s: float


class Watcher(Protocol):
    """Where a room's captions go; `send` never waits.

    `of`: the caption of which the payload is a revision, which may be given in place of those before it that wait yet.
    """

    def send(self, payload: str, of: str | None = None) -> None: ...


class Rooms(Protocol):
    """Who publishes, who watches, what a late watcher is shown. `start` and `stop` around everything else.

    A room comes to be when first spoken in or watched. A watcher is shown history first and then every revision of
    every segment, without a hole or a repetition between the two. Each message but the older part of the history
    says in `position` how far its watcher has come with it.
    """

    def __len__(self) -> int: ...

    @property
    def failed(self) -> bool:
        """Something broke that only a restart mends."""

    @property
    def is_up(self) -> bool:
        """What is said at the other nodes comes here."""

    @property
    def watchers(self) -> int:
        """Over all rooms."""

    def census(self, now: float) -> list[RoomCensus]:
        """Every room of this node."""

    async def start(self) -> None: ...

    async def stop(self) -> None:
        """Whatever was published is with the other nodes, as far as they can be reached."""

    def publish(self, caption: Caption, now: float) -> str:
        """Remember a caption and hand it to everybody who watches: as JSON, which is returned. Never waits."""

    def watch(self, name: str, watcher: Watcher, now: float, since: Position | None = None) -> None:
        """Send the room's recent history to a watcher, then everything new.

        `since`: all that it has not had instead, and word of it if some of that is kept no longer.

        Raises:
            RoomFull: the room has its fill of watchers.
        """

    async def shown(self, name: str, watcher: Watcher) -> None:
        """Wait until a watcher was sent what there was when it came."""

    def leave(self, name: str, watcher: Watcher) -> None: ...

    async def transcript(self, name: str) -> Transcript | None:
        """What was said in the room as far as it is kept, the caller's own; None if the configuration keeps nothing.

        Raises:
            RoomsAway: they cannot be asked for now.
        """

    def forget_idle(self, now: float) -> None:
        """Forget rooms that nobody watches and nobody has spoken in for the configured time."""
