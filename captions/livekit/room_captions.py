"""Everybody in a LiveKit room, heard on one connection to a captions server and captioned in the room.

What talks to LiveKit is `rtc.Room`, the audio of its tracks, and what `TranscriptionPublisher` publishes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeAlias

from livekit import rtc

from captions.client import Client, ConnectError
from captions.doors.native.messages import Audio, Error, GapNotice, Mute, Participant, Segment, Start, Stop, Unmute
from captions.livekit.transcriptions import TranscriptionPublisher
from captions.types import SAMPLE_RATE

__all__ = ["Listen", "RoomCaptions", "frames_of"]

log = logging.getLogger(__name__)

Listen: TypeAlias = Callable[[rtc.Track], AsyncIterator[rtc.AudioFrame]]
"""The audio of a track, mono at 24 kHz, until the track is gone."""

_FRAME_MS = 20
_RETRY_S = 1.0


async def frames_of(track: rtc.Track) -> AsyncIterator[rtc.AudioFrame]:
    """See `Listen`. LiveKit decodes: its Opus packets cannot be had from Python."""
    stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1, frame_size_ms=_FRAME_MS)
    try:
        async for event in stream:
            yield event.frame
    finally:
        await stream.aclose()


class RoomCaptions:
    """`run` it in a room that was joined, subscribed to audio. `language`: what the captions are marked with.

    A server that cannot be reached, stops or is restarted is connected to again, for as long as the room is there; all
    tracks then begin anew. Whoever joins late is heard from then on.
    """

    def __init__(self, room: rtc.Room, url: str, key: str | None, language: str, *, listen: Listen = frames_of) -> None:
        self._room = room
        self._url = url
        self._key = key
        self._language = language
        self._listen = listen
        self._client: Client | None = None
        self._forwarding: dict[str, asyncio.Task[None]] = {}
        self._muting: set[asyncio.Task[None]] = set()
        self._left = asyncio.Event()

    async def run(self) -> None:
        """Until the room is left or closed."""
        self._room.on("track_subscribed", self._on_subscribed)
        self._room.on("track_unsubscribed", self._on_unsubscribed)
        self._room.on("track_muted", self._on_muted)
        self._room.on("track_unmuted", self._on_unmuted)
        self._room.on("disconnected", self._on_disconnected)
        while not self._left.is_set():
            try:
                async with Client(self._url, self._key) as client:
                    await self._caption(client)
            except ConnectError as error:
                log.warning("no captions for now: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_S):
                    await self._left.wait()

    async def _caption(self, client: Client) -> None:
        """Until the connection or the room is over."""
        publisher = TranscriptionPublisher(self._room, self._language)
        self._client = client
        for participant in self._room.remote_participants.values():
            for publication in participant.track_publications.values():
                if publication.track is not None:
                    self._on_subscribed(publication.track, publication, participant)
        tasks = [
            asyncio.create_task(self._read(client, publisher)),
            asyncio.create_task(publisher.run()),
            asyncio.create_task(_until(self._left)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._client = None
            tasks += self._forwarding.values()
            self._forwarding = {}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, client: Client, publisher: TranscriptionPublisher) -> None:
        async for message in client:
            match message:
                case Segment():
                    publisher.show(message)
                case GapNotice(track=track, start=start, end=end, reason=reason):
                    log.warning("not transcribed", extra={"track": track, "seconds": end - start, "reason": reason})
                case Error(code=code, message=text, track=track):
                    log.warning("the server refuses", extra={"track": track, "code": code, "error": text})

    async def _forward(
        self, client: Client, track: rtc.Track, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        """One track, until it is gone; its last words come after that."""
        participant, name = Participant(who.identity, who.name), publication.sid
        with suppress(ConnectError):
            await client.send(
                Start(self._room.name, name, "pcm_s16le", participant, SAMPLE_RATE, language=self._language)
            )
            if publication.muted:
                await client.send(Mute(name))
            async for frame in self._listen(track):
                await client.send(Audio(name, bytes(frame.data)))
            await client.send(Stop(name))

    def _on_subscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        is_audio = publication.kind == rtc.TrackKind.KIND_AUDIO
        if self._client is not None and is_audio and publication.sid not in self._forwarding:
            forwarding = self._forward(self._client, track, publication, participant)
            self._forwarding[publication.sid] = asyncio.create_task(forwarding)

    def _on_unsubscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        """Its audio ends by itself, and then so does the track; one that comes back begins anew."""
        del track, participant
        self._forwarding.pop(publication.sid, None)

    def _on_muted(self, participant: rtc.Participant, publication: rtc.TrackPublication) -> None:
        del participant
        self._tell(publication, Mute(publication.sid))

    def _on_unmuted(self, participant: rtc.Participant, publication: rtc.TrackPublication) -> None:
        del participant
        self._tell(publication, Unmute(publication.sid))

    def _on_disconnected(self, _reason: object) -> None:
        self._left.set()

    def _tell(self, publication: rtc.TrackPublication, message: Mute | Unmute) -> None:
        if self._client is not None and publication.sid in self._forwarding:
            task = asyncio.create_task(_unless_lost(self._client.send(message)))
            self._muting.add(task)
            task.add_done_callback(self._muting.discard)


async def _unless_lost(sending: Coroutine[Any, Any, None]) -> None:
    with suppress(ConnectError):
        await sending


async def _until(event: asyncio.Event) -> None:
    await event.wait()
