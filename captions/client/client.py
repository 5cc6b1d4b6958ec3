"""The client that people use: tracks in, captions out, whichever node of a cluster hears them.

A node that is full or stops names another, and all have named others before. The client begins its tracks again there,
or at the same server once that is there again, under their names and on their clocks, from audio it has kept, and tells
what was lost of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from math import inf
from types import TracebackType

from captions.client.address_book import AddressBook
from captions.client.link import GATHER_S, ConnectError, Link
from captions.client.mover import Mover
from captions.client.place import Place
from captions.client.sent_track import SentTrack, before, moved
from captions.doors.native.messages import (
    Audio,
    ClientMessage,
    CodecName,
    Draining,
    Encoding,
    Error,
    Flushed,
    FlushRequest,
    GapNotice,
    Mute,
    OtherNodes,
    Participant,
    Ping,
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

_RECONNECT_S = 60.0
_KEEP_S = 10.0
"""Audio kept of each track: a node is known to be gone within a second or two, and its model is behind by three."""
_MOST_WAITING = 1_000
_ELSEWHERE = ("overloaded", "draining", "model_failed")
"""Errors of a track that may be heard elsewhere, or later."""


class Client:
    """Use as an async context manager; iterate over it for the server's messages.

    Messages that arrive while nobody iterates wait, bounded: keep reading. Audio is gathered, see `Link`. In a cluster
    the tracks follow to other nodes by themselves. A server that is lost, or all of them, is waited for: meanwhile the
    audio of live tracks is kept, as far as it is kept at all, and that of others waits.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        encoding: Encoding = "msgpack",
        *,
        gather_s: float = GATHER_S,
        reconnect_s: float = _RECONNECT_S,
    ) -> None:
        """`url`: the server's, "ws://host:port", with or without the route.

        `reconnect_s`: how long to wait for a server that was lost, or refuses what it had, until it is there again.
        With 0 a client whose server knows of no other ends with it.
        """
        link_to = partial(Link, key=key, encoding=encoding, gather_s=gather_s)
        self._home = link_to(url)
        self._book = AddressBook(self._home, link_to, self._read)
        self._places: dict[str, Place] = {}
        self._told: asyncio.Queue[ServerMessage | BaseException | None] = asyncio.Queue(_MOST_WAITING)
        self._mover = Mover(self._book, self._places, self._told.put, reconnect_s)
        self._readers: dict[Link, asyncio.Task[None]] = {}
        self._greeted = False
        self._closing = False

    async def __aenter__(self) -> Client:
        await self._home.open()
        self._book.open(self._home)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        await self._mover.stop()
        readers = dict(self._readers)
        for link in readers:
            with suppress(ConnectError):
                await link.close()
        for reader in readers.values():
            reader.cancel()
        await asyncio.gather(*readers.values(), return_exceptions=True)

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
        self._book.open(self._home)

    async def send(self, message: ClientMessage) -> None:
        """Any message of the protocol. Audio may be gathered first.

        Raises:
            ConnectError: the server has gone, and there is no other.
        """
        place = self._places.get(message.track) if isinstance(message, _OF_A_TRACK) else None
        if place is None and isinstance(message, Start):
            place = self._places[message.track] = Place(SentTrack(message, _KEEP_S), self._book.best or self._home)
        if place is None:
            await self._send_apart(message)
            return
        if place.away and isinstance(message, Audio) and not place.track.start.live:
            await place.back.wait()
        async with place.lock:
            place.note(message)
            try:
                if place.away and self._mover.gone is not None:
                    raise self._mover.gone
                if not place.away:
                    await place.link.send(message)
            except ConnectError:
                if self._mover.gone is not None or not self._mover.may_move(place):
                    raise
        if not place.away and not self._book.is_open(place.link):
            self._mover.lost(place)

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
        self._mover.gone = None
        told = [self._told.get_nowait() for _ in range(self._told.qsize())]
        for message in told:
            if message is not None and not isinstance(message, BaseException):
                self._told.put_nowait(message)

    async def _send_apart(self, message: ClientMessage) -> None:
        """What is of no track that is known. A ping is of the moment: while there is no server it is passed over."""
        link = self._book.best
        if link is None and isinstance(message, Ping) and self._mover.gone is None:
            return
        await (link or self._home).send(message)

    # What comes back.

    def _read(self, link: Link) -> None:
        self._readers[link] = asyncio.create_task(self._read_on(link))

    async def _read_on(self, link: Link) -> None:
        error: ConnectError | None = None
        try:
            async for message in link:
                shown = self._take(link, message)
                if shown is not None:
                    await self._told.put(shown)
        except ConnectError as lost:
            error = lost
        self._readers.pop(link, None)
        self._book.closed(link, broken=error is not None)
        if not self._closing:
            await self._mover.link_lost(link, error)

    def _take(self, link: Link, message: ServerMessage) -> ServerMessage | None:
        """What its user is shown of a message."""
        match message:
            case Ready(nodes=nodes):
                self._book.name(nodes)
                was_greeted, self._greeted = self._greeted, True
                return None if was_greeted else message
            case OtherNodes(nodes):
                self._book.name(nodes)
                return None
            case Draining():
                self._mover.leave(link, message)
                return None
            case Error("not_resumable") if self._mover.not_resumed(link):
                return None
            case Error("unknown_track", track=None) if self._book.is_left(link):
                return None  # it has ended its tracks, and packets were on their way
        place = self._places.get(getattr(message, "track", None) or "")
        if place is None:
            return message
        if isinstance(message, Segment | SpeechNotice | GapNotice):
            return self._take_news(place, link, message)
        return self._take_state(place, message) if place.link is link else None

    def _take_news(self, place: Place, link: Link, message: Segment | SpeechNotice | GapNotice) -> ServerMessage | None:
        if place.link is not link:
            offset_s, left_at = self._mover.left(link, place.name) or (0.0, inf)
            return before(moved(message, offset_s), left_at)
        if isinstance(message, GapNotice) and message.reason == "disconnected" and place.away:
            return None  # what was sent meanwhile has been kept
        said = moved(message, place.offset_s) if place.offset_s else message
        place.track.learn(said)
        if isinstance(message, Segment):
            place.lost = 0
        self._mover.heard_of(place)
        return said

    def _take_state(self, place: Place, message: ServerMessage) -> ServerMessage | None:
        match message:
            case Started():
                return message if place.answer() else None
            case Flushed(id=flush_id):
                place.flushed(flush_id)
            case Stopped() if (place.away or not place.stopped) and self._mover.may_move(place):
                self._mover.all_told(place)
                return None
            case Stopped(track):
                del self._places[track]
            case Error(code="unknown_track"):
                if place.away and not place.answered:
                    self._mover.ended(place)
                elif place.away:
                    pass  # it ends already: `Stopped` comes
                elif place.answered and not place.stopped and self._mover.may_move(place):
                    self._mover.unheard(place)
                elif place.answered:
                    return message
                return None
            case Error(code=code) if code in _ELSEWHERE and self._mover.refused(place, message):
                return None
            case Error(track=str(track)) if not place.answered and not place.away:
                del self._places[track]
        return message


_OF_A_TRACK = (Start, Audio, Stop, Mute, Unmute, FlushRequest)
