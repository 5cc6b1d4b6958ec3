"""Rooms: who watches what is said in them, and what a late watcher is shown. In memory, bounded, on the event loop."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from captions.config import RoomsConfig
from captions.rooms.transcripts import Transcript
from captions.stream.captions import Caption, Uncaptioned

__all__ = ["RoomFull", "Rooms", "Watcher"]

_encoder = msgspec.json.Encoder()


class RoomFull(Exception):
    """A room has as many watchers as it may."""


class Watcher(Protocol):
    """Where a room's captions go; `send` never waits."""

    def send(self, payload: str) -> None: ...


@dataclass(slots=True)
class _Room:
    """`final`: the newest final segments, in the order they closed, and what was missing between them, by id; `live`:
    the newest revision of each open one.

    `spoken_in`: somebody published to it, so that there is something to remember.
    """

    transcript: Transcript
    final: OrderedDict[str, str] = field(default_factory=OrderedDict)
    live: OrderedDict[str, str] = field(default_factory=OrderedDict)
    watchers: set[Watcher] = field(default_factory=set)
    touched_at: float = 0.0
    spoken_in: bool = False


class Rooms:
    """All rooms of this server. A room comes to be when first spoken in or watched, and is forgotten when idle.

    One that nobody spoke in is gone with its last watcher: who may only watch cannot fill the memory with names.
    """

    MOST_LIVE_SEGMENTS = 200

    def __init__(self, config: RoomsConfig, watchers_per_room: int) -> None:
        self._config = config
        self._watchers_per_room = watchers_per_room
        self._rooms: dict[str, _Room] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    @property
    def watchers(self) -> int:
        """Over all rooms."""
        return sum(len(room.watchers) for room in self._rooms.values())

    def publish(self, caption: Caption, now: float) -> str:
        """Remember a caption and hand it to everybody who watches: as JSON, which is returned."""
        room = self._room(caption.room, now)
        room.spoken_in = True
        payload = _encoder.encode(caption).decode()
        room.transcript.add(caption, payload)
        if isinstance(caption, Uncaptioned):
            self._keep(room, caption.id, payload)
        elif caption.final:
            room.live.pop(caption.id, None)
            if caption.words:
                self._keep(room, caption.id, payload)
        else:
            room.live[caption.id] = payload
            if len(room.live) > self.MOST_LIVE_SEGMENTS:
                room.live.popitem(last=False)
        for watcher in tuple(room.watchers):
            watcher.send(payload)
        return payload

    def watch(self, name: str, watcher: Watcher, now: float) -> None:
        """Send the room's recent history to a watcher, then everything new.

        Raises:
            RoomFull: the room has its fill of watchers.
        """
        room = self._room(name, now)
        if len(room.watchers) >= self._watchers_per_room:
            raise RoomFull(f"room {name!r} has {self._watchers_per_room} watchers already")
        for payload in (*room.final.values(), *room.live.values()):
            watcher.send(payload)
        room.watchers.add(watcher)

    def leave(self, name: str, watcher: Watcher) -> None:
        room = self._rooms.get(name)
        if room is not None:
            room.watchers.discard(watcher)
            if not room.watchers and not room.spoken_in:
                del self._rooms[name]

    def transcript(self, name: str) -> Transcript | None:
        """What was said in the room as far as it is kept; None if the configuration keeps nothing."""
        if not self._config.transcript_segments:
            return None
        room = self._rooms.get(name)
        return room.transcript if room is not None else Transcript(0)

    def forget_idle(self, now: float) -> None:
        """Forget rooms that nobody watches and nobody has spoken in for the configured time."""
        idle = [
            name
            for name, room in self._rooms.items()
            if not room.watchers and now - room.touched_at > self._config.forget_after_s
        ]
        for name in idle:
            del self._rooms[name]

    def _keep(self, room: _Room, caption_id: str, payload: str) -> None:
        room.final[caption_id] = payload
        if len(room.final) > self._config.history_segments:
            room.final.popitem(last=False)

    def _room(self, name: str, now: float) -> _Room:
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = _Room(Transcript(self._config.transcript_segments))
        room.touched_at = now
        return room
