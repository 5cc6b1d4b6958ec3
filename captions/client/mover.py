"""Tracks that have to go elsewhere: because their node has gone, ends them, refuses them or stops.

Of a node that has gone a track is begun again from behind its last word, with the audio that was kept; what was kept no
longer, or has perhaps been the end of two nodes already, is told as a gap. A node that stops is left in a pause of the
speaker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from captions.client.address_book import AddressBook, backoff_s
from captions.client.link import ConnectError, Link
from captions.client.place import Place
from captions.client.sent_track import KeptAudio
from captions.doors.native.messages import Draining, Error, GapNotice, ServerMessage, Stop

__all__ = ["Mover"]

_MOST_LOST = 5
"""Nodes that a track was lost with in a row, without a word in between: then no node can bear it."""
_SUSPICIOUS = 2
"""So many were perhaps lost because of what it said: that is not sent to the next one."""
_CALM_S = 10.0
"""A track that stayed somewhere for so long was well there, though nothing may have been said."""


class Mover:
    """Say what happens to links and tracks. `gone`: nobody can be reached any more, and `tell` was told so.

    `places`: all tracks, by name. `reconnect_s`: so long a server is waited for, if there is no other.
    """

    def __init__(
        self,
        book: AddressBook,
        places: dict[str, Place],
        tell: Callable[[ServerMessage | BaseException | None], Awaitable[None]],
        reconnect_s: float,
    ) -> None:
        self._book = book
        self._places = places
        self._tell = tell
        self._reconnect_s = reconnect_s
        self._resumed: set[Link] = set()
        self._before: WeakKeyDictionary[Link, dict[str, tuple[float, float]]] = WeakKeyDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self._deadlines: dict[Link, asyncio.Task[None]] = {}
        self.gone: ConnectError | None = None

    async def stop(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def may_move(self, place: Place) -> bool:
        return (self._reconnect_s > 0 or bool(self._book.others)) and place.lost < _MOST_LOST

    def left(self, link: Link, track: str) -> tuple[float, float] | None:
        """Of a track that has left a link: how far the clock there is behind the client's, and when it left."""
        return self._before.get(link, {}).get(track)

    # What happens to links.

    async def link_lost(self, link: Link, error: ConnectError | None) -> None:
        """A link has ended: with an error, or with a goodbye."""
        self._resumed.discard(link)
        if link in self._deadlines:
            self._deadlines.pop(link).cancel()  # it may be resumed, and its node a new one
        self._before.pop(link, None)
        tracks = [place for place in self._places.values() if place.link is link]
        if self._reconnect_s <= 0 and not (tracks and self._book.others):
            if tracks or self._book.best is None:
                await self._tell(error)
            return
        for place in tracks:
            place.unended, place.waits_for_end = error is not None, False
            self.lost(place)
        if not tracks and self._book.best is None:
            self._begin(self._keep_a_link())

    def not_resumed(self, link: Link) -> bool:
        """The session of a resumed link is no more: its tracks begin again. False: it was not resumed from here."""
        if link not in self._resumed:
            return False
        self._resumed.discard(link)
        for place in self._places.values():
            if place.link is link:
                place.unended = False
                self.ended(place)
        return True

    def leave(self, link: Link, draining: Draining) -> None:
        """A node stops. Tracks leave it in their next pause, or shortly before its deadline."""
        if draining.node is None:
            return
        self._book.leave(link, draining.node)
        for place in self._places.values():
            self.heard_of(place)
        if link not in self._deadlines:
            self._deadlines[link] = self._begin(self._leave_at_last(link, draining.deadline_s))

    # What happens to tracks.

    def lost(self, place: Place) -> None:
        """Nobody hears a track any more, nor will its words come."""
        self.unheard(place)
        self._come_back(place)

    def unheard(self, place: Place) -> None:
        """Nobody hears a track any more; some of its words may still come."""
        if place.away:
            return
        now = asyncio.get_running_loop().time()
        is_calm = place.answered and now - place.moved_at > _CALM_S
        place.track.lose(heard_since=is_calm)
        place.lost = (0 if is_calm else place.lost) + place.answered
        place.away = True
        place.back.clear()
        if place.until is None:
            place.until = now + self._reconnect_s

    def all_told(self, place: Place) -> None:
        """Its node has ended a track, and all its words have come."""
        self.unheard(place)
        place.track.end()
        if place.waits_for_end:
            place.lost = 0  # only the connection was
        else:
            self._book.leave(place.link)  # who ends what it was not asked to, stops
        place.waits_for_end = place.unended = False
        self._come_back(place)

    def ended(self, place: Place) -> None:
        """Its node has no such track any more, which it was asked to end."""
        if place.waits_for_end:
            place.waits_for_end = False
            self._come_back(place)

    def refused(self, place: Place, error: Error) -> bool:
        """A node does not take a track, or no longer. False: nor does any other."""
        now = asyncio.get_running_loop().time()
        is_over = place.until is not None and now >= place.until
        is_full = error.node is None and error.code == "overloaded" and not place.started
        if is_over or is_full or not (self.may_move(place) or (error.node and place.lost < _MOST_LOST)):
            return False
        if error.code != "overloaded":
            self._book.leave(place.link)
        place.refusals += 1
        place.lost += not place.started
        place.named = error.node or ""
        place.not_before = now + (0.0 if error.node else backoff_s(place.refusals))
        self.lost(place)
        return True

    def heard_of(self, place: Place) -> None:
        """A node has told of a track: if it stops, this may be the pause to leave it in."""
        if self._book.is_left(place.link) and not place.track.speaking:
            self._hand_over(place)

    # How they move.

    def _come_back(self, place: Place) -> None:
        if not place.moving:
            place.moving = True
            self._begin(self._bring_back(place))

    def _hand_over(self, place: Place) -> None:
        if not (place.moving or place.away or place.stopped):
            place.moving = True
            self._begin(self._take_along(place))

    async def _bring_back(self, place: Place) -> None:
        """Begin a track again that nobody hears."""
        try:
            while place.away and not place.waits_for_end and self._places.get(place.name) is place:
                if place.lost > _MOST_LOST:
                    await self._give_up_on(place)
                    return
                await asyncio.sleep(place.not_before - asyncio.get_running_loop().time())
                link = await self._book.reach([place.named], place.until or 0.0)
                async with place.lock:
                    if link is place.link and place.unended:
                        await self._end_first(place)
                    elif not place.waits_for_end:
                        await self._begin_again(place, link, *await self._rest_of(place))
                if not self._book.is_open(link):
                    self.unheard(place)
        except ConnectError as error:
            await self._give_up(error)
        finally:
            place.moving = False

    async def _end_first(self, place: Place) -> None:
        """Its session goes on: the track is ended there, so that all its words come, and only then begun again."""
        self._resumed.add(place.link)
        place.unended, place.waits_for_end = False, True
        with suppress(ConnectError):
            await place.link.send(Stop(place.name))

    async def _take_along(self, place: Place) -> None:
        """Begin a track elsewhere and end it at a node that stops. If it cannot be now, it is heard on there."""
        old, track = place.link, place.track
        try:
            link = await self._book.reach([self._book.named_by(old)], 0.0)
            async with place.lock:
                goes, began_s = place.link is old and not (place.away or place.stopped), place.offset_s
                if goes:
                    await self._begin_again(place, link, *(track.last(0.0) if track.speaking else track.handover()))
            if goes:
                with suppress(ConnectError):
                    await old.send(Stop(place.name, at=max(0.0, round(place.offset_s - began_s, 3))))
            if not self._book.is_open(place.link):
                self.unheard(place)
        except ConnectError:
            pass  # until it pauses again, or the node ends it
        finally:
            place.moving = False
        if place.away:
            self._come_back(place)

    async def _rest_of(self, place: Place) -> tuple[float, list[KeptAudio]]:
        begins_at, rest, lost_s = place.track.rest_from(anew=place.lost >= _SUSPICIOUS)
        if lost_s:
            gap = GapNotice(place.name, round(begins_at - lost_s, 3), round(begins_at, 3), "node_lost")
            await self._tell(gap)
        return begins_at, rest

    async def _begin_again(self, place: Place, link: Link, begins_at: float, rest: list[KeptAudio]) -> None:
        self._before.setdefault(place.link, {})[place.name] = place.offset_s, begins_at
        self._before.get(link, {}).pop(place.name, None)
        place.link, place.offset_s = link, begins_at
        place.moved_at, place.named = asyncio.get_running_loop().time(), ""
        place.away = place.answered = place.unended = False
        place.back.set()
        with suppress(ConnectError):
            for message in place.messages(rest):
                await link.send(message)

    async def _leave_at_last(self, link: Link, deadline_s: float) -> None:
        await asyncio.sleep(deadline_s)
        for place in tuple(self._places.values()):
            if place.link is link:
                self._hand_over(place)

    async def _keep_a_link(self) -> None:
        """There is no track, but there may be one."""
        try:
            await self._book.reach([], asyncio.get_running_loop().time() + self._reconnect_s)
        except ConnectError as error:
            await self._give_up(error)

    async def _give_up_on(self, place: Place) -> None:
        del self._places[place.name]
        place.back.set()
        why = f"{place.lost} nodes in a row were lost with it"
        await self._tell(Error("model_failed", why, fatal=False, track=place.name))

    async def _give_up(self, error: ConnectError) -> None:
        if self.gone is None:
            self.gone = error
            for place in self._places.values():
                place.back.set()
            await self._tell(error)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
