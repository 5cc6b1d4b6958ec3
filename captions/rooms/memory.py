"""Rooms in the memory of one process: bounded, on the event loop, gone with it."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from captions.config import RoomsConfig
from captions.rooms.position import Position
from captions.rooms.room import Kept, Room, positioned
from captions.rooms.rooms import MISSED, RoomCensus, RoomFull, Watcher
from captions.rooms.transcripts import Transcript
from captions.stream.captions import Caption

__all__ = ["MemoryRooms"]

_encoder = msgspec.json.Encoder()


class MemoryRooms:
    """All rooms of this server. One that nobody spoke in is gone with its last watcher.

    So who may only watch cannot fill the memory with names. A position counts the messages of this process: who comes
    back with one of another has missed something. `Rooms`.
    """

    failed = False
    is_up = True

    def __init__(
        self, config: RoomsConfig, watchers_per_room: int, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._config = config
        self._watchers_per_room = watchers_per_room
        self._rooms: dict[str, Room] = {}
        self._transcripts: dict[str, Transcript] = {}
        self._began_ms = int(wall_clock() * 1_000)
        self._published = 0

    def __len__(self) -> int:
        return len(self._rooms)

    @property
    def watchers(self) -> int:
        return sum(len(room.watchers) for room in self._rooms.values())

    def census(self, now: float) -> list[RoomCensus]:
        return [room.census(name, now) for name, room in self._rooms.items()]

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""

    def publish(self, caption: Caption, now: float) -> str:
        room = self._room(caption.room, now)
        room.spoken_in = True
        payload = _encoder.encode(caption).decode()
        self._transcript(caption.room).add(caption, payload)
        self._published += 1
        room.position = Position(self._began_ms, self._published)
        room.add(Kept.of(caption, payload, room.position))
        if room.watchers:
            room.tell(positioned(payload, room.position), caption.id)
        return payload

    def watch(self, name: str, watcher: Watcher, now: float, since: Position | None = None) -> None:
        room = self._room(name, now)
        if len(room.watchers) >= self._watchers_per_room:
            raise RoomFull(f"room {name!r} has {self._watchers_per_room} watchers already")
        for payload in room.history() if since is None else self._rest(room, since):
            watcher.send(payload)
        room.watchers.add(watcher)

    async def shown(self, name: str, watcher: Watcher) -> None:
        """It was."""

    def leave(self, name: str, watcher: Watcher) -> None:
        room = self._rooms.get(name)
        if room is not None:
            room.watchers.discard(watcher)
            if not room.watchers and not room.spoken_in:
                del self._rooms[name]

    async def transcript(self, name: str) -> Transcript | None:
        if not self._config.transcript_segments:
            return None
        kept = self._transcripts.get(name)
        return kept.copy() if kept is not None else Transcript(0)

    def forget_idle(self, now: float) -> None:
        idle = [
            name
            for name, room in self._rooms.items()
            if not room.watchers and now - room.touched_at > self._config.forget_after_s
        ]
        for name in idle:
            del self._rooms[name]
            self._transcripts.pop(name, None)

    def _rest(self, room: Room, since: Position) -> list[str]:
        """What a watcher has not had that comes back, as far as it is kept."""
        if since.ms != self._began_ms or since < room.trimmed_to:
            return [MISSED, *room.history()]
        kept = (*room.final.values(), *room.live.values())
        rest = [one for one in kept if one.position is not None and one.position > since]
        rest.sort(key=lambda one: one.position or since)
        return [positioned(one.payload, one.position or since) for one in rest]

    def _room(self, name: str, now: float) -> Room:
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room(self._config.history_segments)
        room.touched_at = now
        return room

    def _transcript(self, name: str) -> Transcript:
        transcript = self._transcripts.get(name)
        if transcript is None:
            transcript = self._transcripts[name] = Transcript(self._config.transcript_segments)
        return transcript
