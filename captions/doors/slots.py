"""Tracks, counted over the server and by holder of a grant, and who gives way when there is room for no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from captions.doors.grant import Grant

__all__ = ["NoSlot", "Slots", "Waiting"]


class NoSlot(Exception):
    """The server, or the holder of a grant, has all the tracks it may; the message says which."""


class Waiting(Protocol):
    """A session that waits for its client to come back."""

    @property
    def holder(self) -> str: ...

    @property
    def tracks(self) -> int: ...

    def finish(self) -> None: ...


class Slots:
    """`take` one before a track is opened; `give_back` a session's, `free` any other, when it is gone.

    A session whose client is gone is `set_aside` until it is `called_back`. When somebody who is here wants a slot,
    those are given up, the longest gone first. Their slots are free at once, though their last words are still on their
    way: no more than twice as many tracks as there are slots are ever open.

    `open_tracks`: of the whole server, those that hold no slot of a session too. While it `is_late` with what it has,
    it takes no more: whoever is in would pay for it.
    """

    def __init__(self, most: int, open_tracks: Callable[[], int], is_late: Callable[[], bool] = lambda: False) -> None:
        self._most = most
        self._open_tracks = open_tracks
        self._is_late = is_late
        self._held: Counter[str] = Counter()
        self._aside: dict[Waiting, None] = {}
        self._given_up: list[Waiting] = []

    @property
    def taken(self) -> int:
        """Tracks that are in the way of others."""
        return self._open_tracks() - self._leaving()

    @property
    def share(self) -> float:
        """How full the server is of tracks, 0 to 1."""
        return min(1.0, self.taken / self._most)

    @property
    def can_take(self) -> bool:
        """Whether there is room for one more, if need be in the place of somebody who is gone."""
        return not self._is_late() and self.taken - sum(session.tracks for session in self._aside) < self._most

    def make_room(self) -> bool:
        """See that there is room for one more track; False if there is none."""
        if self._is_late():
            return False
        while self.taken >= self._most:
            if not self._give_up(None):
                return False
        return True

    def take(self, grant: Grant) -> None:
        """One more track of a session.

        Raises:
            NoSlot: there is none, and nobody to give way.
        """
        while grant.tracks is not None and self._held[grant.holder] >= grant.tracks:
            if not self._give_up(grant.holder):
                raise NoSlot("this key or token has all the tracks it may")
        if self._is_late():
            raise NoSlot("the server is late with the tracks it has; try another")
        if not self.make_room():
            raise NoSlot("the server has all the tracks it may; try another")
        self._held[grant.holder] += 1

    def give_back(self, session: Waiting) -> None:
        """A track of a session is gone."""
        if session in self._given_up:
            if not session.tracks:
                self._given_up.remove(session)
            return
        self._release(session.holder, 1)

    def free(self, grant: Grant) -> None:
        """A track that belongs to no session is gone."""
        self._release(grant.holder, 1)

    def set_aside(self, session: Waiting) -> None:
        self._aside[session] = None

    def called_back(self, session: Waiting) -> None:
        self._aside.pop(session, None)

    def _give_up(self, holder: str | None) -> bool:
        """Give up the session that waits longest, of a holder or of all."""
        session = next((one for one in self._aside if holder is None or one.holder == holder), None)
        if session is None or self._leaving() >= self._most:
            return False
        del self._aside[session]
        self._release(session.holder, session.tracks)
        self._given_up.append(session)
        session.finish()
        return True

    def _leaving(self) -> int:
        """Tracks of sessions that were given up, whose last words are not out yet."""
        return sum(session.tracks for session in self._given_up)

    def _release(self, holder: str, tracks: int) -> None:
        self._held[holder] -= tracks
        if not self._held[holder]:
            del self._held[holder]
