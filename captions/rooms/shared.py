"""Rooms that many nodes have together, over Redis: one stream a room, of which each node keeps the end it needs.

    publish -> the room here and who watches it here, at once
            -> telling -> Redis -> following, at every other node whose watchers want the room -> the room there

A node follows a room while somebody watches it there. What its own tracks say does not take the way over Redis to its
own watchers, who so notice nothing when Redis is away; coming back on the stream it only says where it stands.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import msgspec

from captions.config import RoomsConfig
from captions.metrics import Metrics
from captions.rooms.bus import RETRY_S, Bus, StreamEntry
from captions.rooms.ending import end
from captions.rooms.followed_room import FollowedRoom
from captions.rooms.following import Following
from captions.rooms.outgoing import Entry
from captions.rooms.position import NOWHERE, Position
from captions.rooms.room import Kept, positioned, read_kept
from captions.rooms.rooms import MISSED, RoomCensus, RoomFull, RoomsAway, Watcher
from captions.rooms.telling import Telling
from captions.rooms.transcripts import Transcript
from captions.stream.captions import Caption

__all__ = ["SharedRooms"]

log = logging.getLogger(__name__)

_encoder = msgspec.json.Encoder()
_captions: msgspec.json.Decoder[Caption] = msgspec.json.Decoder(Caption)

_PAGE = 200
_MOST_HISTORY_PAGES = 10
_MOST_REST = 500
"""Segments shown to a watcher that comes back; one that was away for more is told so."""
_LAST_WORDS_S = 2.0
_MOST_READS_AT_ONCE = 8
"""Of histories and transcripts; others wait for their turn."""


class SharedRooms:
    """See the module. `node` names this process to the others. `Rooms`."""

    def __init__(
        self,
        config: RoomsConfig,
        watchers_per_room: int,
        bus: Bus,
        node: str,
        metrics: Metrics,
        kept_bytes: int,
    ) -> None:
        self._config = config
        self._watchers_per_room = watchers_per_room
        self._bus = bus
        self._node = node
        self._node_bytes = node.encode()
        self._metrics = metrics
        self._skipped = metrics.revisions_skipped.labels(behind="node")
        self._rooms: dict[str, FollowedRoom] = {}
        self._telling = Telling(bus, node, metrics, kept_bytes)
        self._following = Following(bus, self._take, self._missed)
        self._reads = asyncio.Semaphore(_MOST_READS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self.failed = False

    def __len__(self) -> int:
        return len(self._rooms)

    @property
    def watchers(self) -> int:
        return sum(room.everybody for room in self._rooms.values())

    @property
    def is_up(self) -> bool:
        return self._bus.is_up

    def census(self, now: float) -> list[RoomCensus]:
        return [room.census(name, now) for name, room in self._rooms.items()]

    async def start(self) -> None:
        self._begin(self._telling.run())

    async def stop(self) -> None:
        try:
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._telling.done()
        except TimeoutError:
            log.warning("stopped before the other nodes were told everything", extra={"entries": len(self._telling)})
        await end(self._tasks)
        await self._bus.close()

    def publish(self, caption: Caption, now: float) -> str:
        room = self._room(caption.room, now)
        room.spoken_in = True
        payload = _encoder.encode(caption).decode()
        kept = Kept.of(caption, payload)
        room.add(kept)
        self._telling.put(Entry(caption.room, caption.id, payload))
        room.show(kept)
        return payload

    def watch(self, name: str, watcher: Watcher, now: float, since: Position | None = None) -> None:
        room = self._room(name, now)
        if room.everybody >= self._watchers_per_room:
            raise RoomFull(f"room {name!r} has {self._watchers_per_room} watchers already")
        room.waiting[watcher] = since
        room.shown[watcher] = asyncio.Event()
        if room.follower is None:
            room.follower = self._begin(self._follow(name, room))
        elif room.open:
            self._let_in(name, room)

    async def shown(self, name: str, watcher: Watcher) -> None:
        await self._rooms[name].shown[watcher].wait()

    def leave(self, name: str, watcher: Watcher) -> None:
        room = self._rooms.get(name)
        if room is None:
            return
        room.watchers.discard(watcher)
        room.waiting.pop(watcher, None)
        room.returning.pop(watcher, None)
        room.shown.pop(watcher, None)
        if not room.everybody:
            self._unfollow(name, room)

    async def transcript(self, name: str) -> Transcript | None:
        if not self._config.transcript_segments:
            return None
        transcript = Transcript(self._config.transcript_segments)
        position = NOWHERE
        while True:
            async with self._reads:
                page = await self._bus.after(name, position, _PAGE)
            for at, _, payload in page:
                kept = read_kept(payload, at)
                caption = _caption_in(payload) if kept is not None and kept.final else None
                if caption is not None:
                    transcript.add(caption, payload.decode())
                position = at
            if len(page) < _PAGE:
                return transcript

    def forget_idle(self, now: float) -> None:
        idle = [
            name
            for name, room in self._rooms.items()
            if not room.everybody and now - room.touched_at > self._config.forget_after_s
        ]
        for name in idle:
            del self._rooms[name]
            self._bus.forget(name)

    def _room(self, name: str, now: float) -> FollowedRoom:
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = FollowedRoom(self._config.history_segments)
        room.touched_at = now
        return room

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """What is foreseen a task sees to itself: anything else is a defect, and nothing here can be relied on."""
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.failed = True
            log.error("the rooms have failed", exc_info=task.exception())

    # What this node follows.

    async def _follow(self, name: str, room: FollowedRoom) -> None:
        """Read a room's history, let its watchers in, and have what comes next read on.

        While Redis is away they are shown what this node knows; the rest comes when it is back.
        """
        while True:
            try:
                async with self._reads:
                    history = await self._history(name)
                break
            except RoomsAway:
                self._let_in(name, room)
                await asyncio.sleep(RETRY_S)
        room.position = history[-1][0] if history else NOWHERE
        news = room.rebuild([kept for at, _, payload in history if (kept := read_kept(payload, at)) is not None])
        for kept in news if room.open else ():
            room.show(kept)
        reading = self._following.follow(name, room.position)
        if reading is not None:
            self._begin(reading)
        self._let_in(name, room)

    async def _history(self, name: str) -> list[StreamEntry]:
        """The end of a room's stream that has as many final segments as are shown; oldest first."""
        found: list[StreamEntry] = []
        finals = 0
        for _ in range(_MOST_HISTORY_PAGES):
            page = await self._bus.before(name, found[-1][0] if found else None, _PAGE)
            found += page
            finals += sum(kept is not None and kept.final for kept in (read_kept(e[2], e[0]) for e in page))
            if len(page) < _PAGE or finals > self._config.history_segments:
                break
        return found[::-1]

    def _unfollow(self, name: str, room: FollowedRoom) -> None:
        if room.follower is not None:
            room.follower.cancel()
        room.follower = None
        room.open = False
        self._following.unfollow(name)
        if not room.spoken_in:
            self._rooms.pop(name, None)

    def _take(self, name: str, entries: list[StreamEntry]) -> None:
        """What came in a room's stream: news is shown, what is known by now is not.

        Of revisions of a segment that come together only the newest is shown: of a room that says ten a second, they do
        only where this node is behind.
        """
        room = self._rooms[name]
        read = [(at, node, payload, read_kept(payload, at)) for at, node, payload in entries]
        newest: dict[str, int] = {}
        for _, _, _, kept in read:
            if kept is not None:
                newest[kept.id] = max(kept.revision, newest.get(kept.id, 0))
        for at, node, payload, kept in read:
            room.position = at
            if kept is None:
                if payload == MISSED.encode():
                    room.tell(MISSED)
            elif not kept.final and kept.revision < newest[kept.id]:
                self._skipped.inc(node != self._node_bytes)
            elif room.add(kept) and node != self._node_bytes:
                self._metrics.bus_received.inc()
                room.show(kept)

    def _missed(self, name: str) -> None:
        self._rooms[name].tell(MISSED)

    # Who watches.

    def _let_in(self, name: str, room: FollowedRoom) -> None:
        """Show the history to those who wait for it; who was here before gets what was said since."""
        room.open = True
        waiting, room.waiting = room.waiting, {}
        for watcher, since in waiting.items():
            if since is None:
                for payload in room.history():
                    watcher.send(payload)
                self._shown(room, watcher)
            else:
                room.returning[watcher] = self._telling.untold(name)
                self._begin(self._return(name, room, watcher, since))

    async def _return(self, name: str, room: FollowedRoom, watcher: Watcher, since: Position) -> None:
        """What is said while the stream is read is collected; then everything is sent at once, in order."""
        newest: dict[str, Kept] = {}
        try:
            missed = not await self._bus.has_all_since(name, since)
            position = since
            while True:
                async with self._reads:
                    page = await self._bus.after(name, position, _PAGE)
                for at, _, payload in page:
                    kept = read_kept(payload, at)
                    position = at
                    missed |= payload == MISSED.encode()
                    if kept is not None:
                        newest.pop(kept.id, None)
                        newest[kept.id] = kept
                if len(page) < _PAGE:
                    break
        except RoomsAway:
            missed = True
        if watcher not in room.returning:
            return
        missed |= len(newest) > _MOST_REST
        rest = list(newest.values())[-_MOST_REST:]
        for kept in rest:
            if (kept.position or since) > room.position and room.add(kept):
                room.show(kept)
        for kept in (*room.final.values(), *room.live.values(), *room.returning.pop(watcher)):
            known = newest.get(kept.id)
            is_newer = known is None or (not known.final and kept.revision > known.revision)
            if is_newer and (kept.position is None or kept.position > since):
                newest[kept.id] = kept
                rest.append(kept)
        for told in [MISSED] * missed + [kept.payload for kept in rest[:-1]]:
            watcher.send(told)
        for kept in rest[-1:]:
            watcher.send(positioned(kept.payload, max(since, room.position)))
        self._shown(room, watcher)

    def _shown(self, room: FollowedRoom, watcher: Watcher) -> None:
        room.watchers.add(watcher)
        room.shown[watcher].set()


def _caption_in(payload: bytes) -> Caption | None:
    try:
        return _captions.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
