"""A room of many nodes as one of them has it: who watches it there, and who is still to be shown what was said."""

from __future__ import annotations

import asyncio

from captions.rooms.position import Position
from captions.rooms.room import Kept, Room, positioned
from captions.rooms.rooms import Watcher

__all__ = ["FollowedRoom"]


class FollowedRoom(Room):
    """`waiting`: watchers who are shown nothing before the history is here, and where they were.

    `returning`: those who said where they were, and what was said since. `shown`: set once a watcher has the history
    or the rest. `follower` reads the history; None while nobody watches. `open`: watchers are shown what there is.
    """

    def __init__(self, history: int) -> None:
        super().__init__(history)
        self.waiting: dict[Watcher, Position | None] = {}
        self.returning: dict[Watcher, list[Kept]] = {}
        self.shown: dict[Watcher, asyncio.Event] = {}
        self.follower: asyncio.Task[None] | None = None
        self.open = False

    @property
    def everybody(self) -> int:
        return len(self.watchers) + len(self.waiting) + len(self.returning)

    def show(self, kept: Kept) -> None:
        """To all who watch, and to those whose history is being read once it is there."""
        if self.watchers:
            self.tell(positioned(kept.payload, self.position), kept.id)
        for collected in self.returning.values():
            collected.append(kept)
