"""Rooms that many nodes have together, over Redis: one stream a room, of which each node keeps the end it needs.

    publish -> the room here and who watches it here, at once
            -> outgoing -> Redis -> every other node that follows the room -> the room there -> who watches it there

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
from captions.rooms.bus import Bus, StreamEntry
from captions.rooms.outgoing import Entry, Outgoing
from captions.rooms.position import NOWHERE, Position
from captions.rooms.room import Kept, Room, positioned, read_kept
from captions.rooms.rooms import MISSED, RoomCensus, RoomFull, RoomsAway, Watcher
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
_SLICE = 50
"""Entries taken from the stream before others get their turn on the event loop."""
_PACE_S = 0.002
"""Between two reads of the followed rooms: what comes meanwhile comes together."""
_RETRY_S = 0.25
_LAST_WORDS_S = 2.0
_MOST_READS_AT_ONCE = 8
"""Of histories and transcripts; others wait for their turn."""


class _FollowedRoom(Room):
    """`waiting`: watchers who are shown nothing before the history is here, and where they were.

    `returning`: those who said where they were, and what was said since. `shown`: set once a watcher has the history
    or the rest. `follower` reads the history; None while
    nobody watches. `open`: watchers are shown what there is.
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
            self.tell(positioned(kept.payload, self.position))
        for collected in self.returning.values():
            collected.append(kept)


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
        self._rooms: dict[str, _FollowedRoom] = {}
        self._outgoing = Outgoing(kept_bytes)
        self._under_way: list[Entry] = []
        self._said = asyncio.Event()
        self._all_told = asyncio.Event()
        self._all_told.set()
        self._positions: dict[int, dict[str, Position]] = {}
        self._reading: set[int] = set()
        self._reads = asyncio.Semaphore(_MOST_READS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
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
        self._begin(self._write())

    async def stop(self) -> None:
        try:
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._all_told.wait()
        except TimeoutError:
            log.warning("stopped before the other nodes were told everything", extra={"entries": len(self._outgoing)})
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._bus.close()

    def publish(self, caption: Caption, now: float) -> str:
        room = self._room(caption.room, now)
        room.spoken_in = True
        payload = _encoder.encode(caption).decode()
        kept = Kept.of(caption, payload)
        room.add(kept)
        self._outgoing.put(Entry(caption.room, caption.id, payload))
        self._metrics.bus_waiting_bytes.set(self._outgoing.waiting_bytes)
        self._all_told.clear()
        self._said.set()
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

    def _room(self, name: str, now: float) -> _FollowedRoom:
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = _FollowedRoom(self._config.history_segments)
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

    # What this node says.

    async def _write(self) -> None:
        while True:
            await self._said.wait()
            self._said.clear()
            while self._outgoing:
                await self._tell_others()
            self._all_told.set()

    async def _tell_others(self) -> None:
        entries = self._under_way = self._outgoing.take()
        losses = self._outgoing.losses()
        entries += [Entry(room, f"{MISSED}{room}", MISSED) for room in losses]
        try:
            refused = await self._bus.append(self._node, entries)
        except RoomsAway:
            self._outgoing.back(entries)
            await asyncio.sleep(_RETRY_S)
        else:
            self._metrics.bus_published.inc(len(entries) - len(refused))
            self._metrics.bus_lost.inc(len(refused))
        self._under_way = []
        self._metrics.bus_lost.inc(self._outgoing.lost)
        self._outgoing.lost = 0
        self._metrics.bus_waiting_bytes.set(self._outgoing.waiting_bytes)

    # What this node follows.

    async def _follow(self, name: str, room: _FollowedRoom) -> None:
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
                await asyncio.sleep(_RETRY_S)
        room.position = history[-1][0] if history else NOWHERE
        news = room.rebuild([kept for at, _, payload in history if (kept := read_kept(payload, at)) is not None])
        for kept in news if room.open else ():
            room.show(kept)
        shard = self._bus.shard_of(name)
        self._positions.setdefault(shard, {})[name] = room.position
        if shard not in self._reading:
            self._reading.add(shard)
            self._begin(self._read(shard))
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

    def _unfollow(self, name: str, room: _FollowedRoom) -> None:
        if room.follower is not None:
            room.follower.cancel()
        room.follower = None
        room.open = False
        self._positions.get(self._bus.shard_of(name), {}).pop(name, None)
        if not room.spoken_in:
            self._rooms.pop(name, None)

    async def _read(self, shard: int) -> None:
        """Follow all the watched rooms of a shard; ends when there are none."""
        positions = self._positions[shard]
        loop = asyncio.get_running_loop()
        was_away = False
        while positions and not self._stopping:
            began_at = loop.time()
            try:
                if was_away:
                    await self._tell_of_holes(dict(positions))
                news = await self._bus.read(positions)
            except RoomsAway:
                was_away = True
                await asyncio.sleep(_RETRY_S)
                continue
            was_away = False
            taken = 0
            for name, entries in news:
                for entry in entries:
                    room = self._rooms.get(name)
                    if room is None or name not in positions:
                        break
                    positions[name] = room.position = entry[0]
                    self._take(room, entry)
                    taken += 1
                    if taken % _SLICE == 0:
                        await asyncio.sleep(0)
            await asyncio.sleep(max(0.0, began_at + _PACE_S - loop.time()))
        self._reading.discard(shard)

    async def _tell_of_holes(self, positions: dict[str, Position]) -> None:
        for name, position in positions.items():
            room = self._rooms.get(name)
            if not await self._bus.has_all_since(name, position) and room is not None:
                room.tell(MISSED)

    def _take(self, room: _FollowedRoom, entry: StreamEntry) -> None:
        """One entry of a room's stream: news is shown, what is known by now is not."""
        at, node, payload = entry
        kept = read_kept(payload, at)
        if kept is None:
            if payload == MISSED.encode():
                room.tell(MISSED)
            return
        if room.add(kept) and node != self._node_bytes:
            self._metrics.bus_received.inc()
            room.show(kept)

    # Who watches.

    def _let_in(self, name: str, room: _FollowedRoom) -> None:
        """Show the history to those who wait for it; who was here before gets what was said since."""
        room.open = True
        waiting, room.waiting = room.waiting, {}
        for watcher, since in waiting.items():
            if since is None:
                for payload in room.history():
                    watcher.send(payload)
                self._shown(room, watcher)
            else:
                room.returning[watcher] = self._untold(name)
                self._begin(self._return(name, room, watcher, since))

    def _untold(self, name: str) -> list[Kept]:
        """What was said here in a room and may not be in its stream yet."""
        entries = self._outgoing.of(name) + [entry for entry in self._under_way if entry.room == name]
        return [kept for entry in entries if (kept := read_kept(entry.payload.encode(), None)) is not None]

    async def _return(self, name: str, room: _FollowedRoom, watcher: Watcher, since: Position) -> None:
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

    def _shown(self, room: _FollowedRoom, watcher: Watcher) -> None:
        room.watchers.add(watcher)
        room.shown[watcher].set()


def _caption_in(payload: bytes) -> Caption | None:
    try:
        return _captions.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
