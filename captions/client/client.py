"""The client that people use: tracks in, captions out, whichever node of a cluster hears them.

A node that is full or stops names another, and one that dies has named others before. The client begins its tracks
again there, under their names and on their clocks, from audio it has kept, and tells what was lost of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from types import TracebackType
from typing import Any

from captions.client.link import GATHER_S, ConnectError, Link
from captions.client.sent_track import SentTrack, before, moved
from captions.doors.native.messages import (
    Audio,
    ClientMessage,
    CodecName,
    Draining,
    Encoding,
    Error,
    FlushRequest,
    GapNotice,
    Mute,
    Participant,
    Ready,
    Segment,
    ServerMessage,
    SpeechNotice,
    Start,
    Started,
    Stop,
    Stopped,
    Unmute,
)

__all__ = ["Client"]

_KEEP_S = 10.0
"""Audio kept of each track: a node is known to be gone within a second or two, and its model is behind by three."""
_MOST_MOVES = 5
"""Of a track in a row, without a word in between: then there is nowhere to go."""
_MOST_WAITING = 1_000


@dataclass(slots=True)
class _Place:
    """Where a track is: on which link, and how far the node's clock is behind the client's there."""

    track: SentTrack
    link: Link
    offset_s: float = 0.0
    moves: int = 0
    started: bool = False
    stopped: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Client:
    """Use as an async context manager; iterate over it for the server's messages.

    Messages that arrive while nobody iterates wait, bounded: keep reading. Audio is gathered, see `Link`. In a cluster
    the tracks follow to other nodes by themselves, a limited number of times.
    """

    def __init__(
        self, url: str, key: str | None = None, encoding: Encoding = "msgpack", *, gather_s: float = GATHER_S
    ) -> None:
        """`url`: the server's, "ws://host:port", with or without the route."""
        self._key = key
        self._encoding: Encoding = encoding
        self._gather_s = gather_s
        self._home = Link(url, key, encoding, gather_s=gather_s)
        self._links: dict[str, Link] = {}
        self._places: dict[str, _Place] = {}
        self._others: list[str] = []
        self._told: asyncio.Queue[ServerMessage | BaseException | None] = asyncio.Queue(_MOST_WAITING)
        self._readers: dict[Link, asyncio.Task[None]] = {}
        self._leaving: dict[Link, str] = {}
        self._moving: set[asyncio.Task[None]] = set()
        self._opening = asyncio.Lock()
        self._left: dict[tuple[Link, str], tuple[float, float]] = {}
        self._greeted = False
        self._closing = False

    async def __aenter__(self) -> Client:
        await self._home.open()
        self._read(self._home)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        tasks = [*self._readers.values(), *self._moving]
        for link in tuple(self._readers):
            with suppress(ConnectError):
                await link.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aiter__(self) -> AsyncIterator[ServerMessage]:
        while True:
            told = await self._told.get()
            if told is None:
                return
            if isinstance(told, BaseException):
                raise told
            yield told

    async def resume(self) -> None:
        """Go on with the session after its connection was lost; what was missed comes first.

        Raises:
            ConnectError: the server cannot be reached, or there was no session yet.
        """
        self._closing = False
        reader = self._readers.pop(self._home, None)
        if reader is not None:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
        self._forget_the_end()
        await self._home.resume()
        self._read(self._home)

    async def send(self, message: ClientMessage) -> None:
        """Any message of the protocol. Audio may be gathered first.

        Raises:
            ConnectError: the server has gone, and there is no other.
        """
        place = self._places.get(message.track) if isinstance(message, _OF_A_TRACK) else None
        if isinstance(message, Start):
            place = self._places[message.track] = _Place(SentTrack(message, _KEEP_S), self._home)
            if self._home in self._leaving or self._home not in self._readers:
                place.link = next((link for link in self._readers if link not in self._leaving), self._home)
        if place is None:
            await self._home.send(message)
            return
        async with place.lock:
            if isinstance(message, Audio):
                place.track.keep(message)
            elif isinstance(message, Stop):
                place.stopped = True
            try:
                await place.link.send(message)
            except ConnectError:
                if not self._can_move(place):
                    raise

    async def start(
        self,
        room: str,
        track: str,
        codec: CodecName,
        sample_rate: int = 48_000,
        channels: int = 1,
        participant: Participant | None = None,
        *,
        live: bool = True,
    ) -> None:
        """Begin a track; see `Start`."""
        await self.send(Start(room, track, codec, participant, sample_rate, channels, live=live))

    async def audio(self, track: str, data: bytes) -> None:
        """One Opus packet, or any whole number of PCM samples."""
        await self.send(Audio(track, data))

    async def stop(self, track: str) -> None:
        """End a track: its last words come, then `Stopped`."""
        await self.send(Stop(track))

    def _forget_the_end(self) -> None:
        """What was told that the connection has ended is no longer so."""
        told = [self._told.get_nowait() for _ in range(self._told.qsize())]
        for message in told:
            if message is not None and not isinstance(message, BaseException):
                self._told.put_nowait(message)

    def _can_move(self, place: _Place) -> bool:
        return bool(self._others) and place.moves < _MOST_MOVES

    # What comes back.

    def _read(self, link: Link) -> None:
        self._readers[link] = asyncio.create_task(self._read_on(link))

    async def _read_on(self, link: Link) -> None:
        error: BaseException | None = None
        try:
            async for message in link:
                shown = self._take(link, message)
                if shown is not None:
                    await self._told.put(shown)
        except ConnectError as lost:
            error = lost
        self._readers.pop(link, None)
        if self._closing:
            return
        left = [place for place in self._places.values() if place.link is link]
        if left and all(self._can_move(place) for place in left):
            for place in left:
                self._begin(self._move(place, self._from(), lost=True))
        elif left or not self._readers:
            await self._told.put(error)

    def _take(self, link: Link, message: ServerMessage) -> ServerMessage | None:
        """What its user is shown of a message."""
        if isinstance(message, Ready):
            self._others = message.nodes or self._others
            was_greeted, self._greeted = self._greeted, True
            return None if was_greeted else message
        if isinstance(message, Draining):
            self._drain(link, message)
            return None
        place = self._places.get(getattr(message, "track", None) or "")
        if place is None:
            return message
        if isinstance(message, Segment | SpeechNotice | GapNotice):
            if place.link is not link:
                offset_s, left_at = self._left.get((link, message.track), (0.0, inf))
                return before(moved(message, offset_s), left_at)
            said = moved(message, place.offset_s) if place.offset_s else message
            place.track.learn(said)
            if isinstance(message, Segment):
                place.moves = 0
            if link in self._leaving and not place.track.speaking:
                self._begin(self._move(place, self._from(self._leaving[link])))
            return said
        if place.link is not link and isinstance(message, Started | Stopped | Error):
            return None
        return self._take_state(place, message)

    def _take_state(self, place: _Place, message: ServerMessage) -> ServerMessage | None:
        match message:
            case Started(track):
                was_started, place.started = place.started, True
                return None if was_started else message
            case Stopped() if not place.stopped and self._can_move(place):
                self._begin(self._move(place, self._from(), lost=True))
                return None
            case Stopped(track):
                del self._places[track]
            case Error(code="unknown_track") if not place.started:
                return None
            case Error(code="overloaded" | "draining", node=str(node)) if place.moves < _MOST_MOVES:
                self._begin(self._move(place, self._from(node)))
                return None
        return message

    # Moving.

    def _from(self, *named: str) -> list[str]:
        """Where a track may go, in this order: a node that is named may have died since."""
        return [*named, *self._others, self._home.url]

    def _drain(self, link: Link, draining: Draining) -> None:
        """Tracks leave in their next pause, or shortly before the node's deadline."""
        if draining.node is None:
            return
        self._leaving[link] = draining.node
        for place in self._places.values():
            if place.link is link and not place.track.speaking:
                self._begin(self._move(place, self._from(draining.node)))
        self._begin(self._leave_at_last(link, draining.node, draining.deadline_s))

    async def _leave_at_last(self, link: Link, node: str, deadline_s: float) -> None:
        await asyncio.sleep(deadline_s)
        for place in tuple(self._places.values()):
            if place.link is link:
                self._begin(self._move(place, self._from(node)))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._moving.add(task)
        task.add_done_callback(self._moving.discard)

    async def _move(self, place: _Place, nodes: list[str], *, lost: bool = False) -> None:
        """Begin a track again at the first of the nodes that can be reached, and end it where it was."""
        old = place.link
        async with place.lock:
            if place.link is not old or (place.stopped and not lost):
                return
            link = await self._link_to([node for node in nodes if node])
            if link is None:
                await self._told.put(ConnectError("the node has gone, and no other can be reached"))
                return
            await self._begin_again(place, link, lost=lost)
        if not lost and place.started:
            with suppress(ConnectError):
                await old.send(Stop(place.track.start.track))

    async def _begin_again(self, place: _Place, link: Link, *, lost: bool) -> None:
        track, old = place.track, place.link
        lost_s = 0.0
        if lost:
            begins_at, rest, lost_s = track.rest_from()
        elif not place.started:
            begins_at, rest = track.last(_KEEP_S)
        else:
            begins_at, rest = track.last(0.0) if track.speaking else track.handover()
        self._left[(old, track.start.track)] = place.offset_s, begins_at
        place.link, place.offset_s, place.moves = link, begins_at, place.moves + 1
        if lost_s:
            await self._told.put(
                GapNotice(track.start.track, round(begins_at - lost_s, 3), round(begins_at, 3), "node_lost")
            )
        with suppress(ConnectError):
            await link.send(track.start)
            for audio in rest:
                await link.send(audio)
            if place.stopped:
                await link.send(Stop(track.start.track))

    async def _link_to(self, nodes: list[str]) -> Link | None:
        """The first that can be reached; one link a node, for however many tracks."""
        async with self._opening:
            return await self._open_one(nodes)

    async def _open_one(self, nodes: list[str]) -> Link | None:
        for node in nodes:
            known = self._links.get(node)
            if known is not None and known in self._readers and known not in self._leaving:
                return known
            link = Link(node, self._key, self._encoding, gather_s=self._gather_s)
            try:
                await link.open()
            except ConnectError:
                continue
            self._links[node] = link
            self._read(link)
            return link
        return None


_OF_A_TRACK = (Start, Audio, Stop, Mute, Unmute, FlushRequest)
