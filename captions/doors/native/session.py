"""One connection on the native protocol: its tracks, from messages in to messages out."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from captions.config import LimitsConfig
from captions.doors.native import messages as native
from captions.doors.track import CaptionTrack
from captions.engine.engine import Engine
from captions.engine.listener import Finish, Flush, Heard, Mute, Pace, Sound, Taken
from captions.metrics import Metrics
from captions.rooms.rooms import Rooms
from captions.stream.decode import AudioError, Decoder, decoder_for
from captions.stream.timeline import Packet
from captions.types import FRAME_S, SAMPLE_RATE, TrackEvent, samples_in

__all__ = ["Service", "Session", "Write"]

Write: TypeAlias = Callable[[bytes | str], None]
"""Where a session's payloads go; never waits."""

log = logging.getLogger(__name__)

_FINISHED = "\x00finished"
"""The id of a track's last flush; no client's id begins with NUL."""


@dataclass(slots=True)
class Service:
    """What all connections of a server share. `draining`: no new track is taken."""

    engine: Engine
    rooms: Rooms
    metrics: Metrics
    limits: LimitsConfig
    clock: Callable[[], float]
    new_id: Callable[[], str]
    draining: bool = False
    sessions: dict[str, Session] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Published:
    """A live track of this session; a `TrackSink`."""

    session: Session
    captions: CaptionTrack
    decoder: Decoder
    pace: Pace
    handle: int = 0
    muted: bool = False
    stopping: bool = False
    gone: bool = False
    progressed: asyncio.Event = field(default_factory=asyncio.Event)

    def heard(self, event: Heard) -> None:
        self.captions.heard(event)
        if isinstance(event, Taken):
            self.progressed.set()

    def said(self, events: list[TrackEvent]) -> None:
        done = self.captions.said(events)
        self.progressed.set()
        for flush_id in done:
            if flush_id == _FINISHED:
                self.session.finished(self)
            else:
                self.session.send(native.Flushed(track=self.captions.name, id=flush_id))


class Session:
    """Pass every payload to `receive`, in order; what goes back is given to `write`. `detach` when the client is gone.

    A session outlives its connection: `attach` gives it another one, and the messages the client has missed. `finish`
    ends its tracks.
    """

    def __init__(self, service: Service, encoding: native.Encoding, write: Write) -> None:
        self.id = service.new_id()
        self._secret = secrets.token_urlsafe(16)
        self._service = service
        self._write: Write | None = write
        self._encoding: native.Encoding = encoding
        self._tracks: dict[str, _Published] = {}
        self._sent: deque[bytes | str] = deque(maxlen=service.limits.outbox_messages)
        self._sent_count = 0
        self._detached_at: float | None = None
        service.sessions[self.id] = self
        self._greet()

    @property
    def tracks(self) -> int:
        return len(self._tracks)

    async def receive(self, payload: bytes | str) -> None:
        """One frame of the client. Waits only while a track that must not drop audio has its fill of it."""
        try:
            message = self._read(payload)
        except native.ProtocolError as error:
            self._refuse(error)
            return
        await self.obey(message)

    async def obey(self, message: native.ClientMessage) -> None:
        """One message, whichever way it came. Waits as `receive` does."""
        arrived_at = self._service.clock()
        try:
            if isinstance(message, native.Audio):
                await self._hear(message, arrived_at)
            else:
                self._obey(message, arrived_at)
        except native.ProtocolError as error:
            self._refuse(error)

    def send(self, message: native.ServerMessage) -> None:
        """To the client, and segments to the room as well."""
        if isinstance(message, native.Segment):
            self._service.rooms.publish(message, self._service.clock())
        elif isinstance(message, native.Error):
            self._service.metrics.errors.labels(code=message.code).inc()
        payload = native.encode(message, self._encoding)
        self._sent.append(payload)
        self._sent_count += 1
        if self._write is not None:
            self._write(payload)

    def finish(self) -> None:
        """End every track as if it had been stopped; their last words still reach the rooms."""
        for track in tuple(self._tracks.values()):
            self._stop(track)
        if self._write is None:
            self._service.sessions.pop(self.id, None)

    def is_served_by(self, write: Write) -> bool:
        """Whether this connection still has the session: another may have resumed it."""
        return self._write == write

    def detach(self) -> float:
        """The client is gone: what is said is kept for it. The moment, to `give_up` on it later."""
        self._write = None
        self._detached_at = self._service.clock()
        return self._detached_at

    def give_up(self, detached_at: float) -> None:
        """The client that was gone since `detached_at` has not come back in time."""
        if self._detached_at == detached_at:
            self.finish()

    def attach(self, resume: native.Resume, write: Write) -> None:
        """The client is back: what it has missed is sent again, then the gap in each of its tracks.

        Raises:
            ProtocolError: it does not know the session's secret.
        """
        if not hmac.compare_digest(resume.secret.encode(), self._secret.encode()):
            raise native.ProtocolError("not_resumable", "no such session, or not its secret")
        missed = min(max(0, self._sent_count - resume.received), len(self._sent))
        for payload in list(self._sent)[len(self._sent) - missed :]:
            write(payload)
        self._write = write
        away_s = self._service.clock() - (self._detached_at or self._service.clock())
        self._detached_at = None
        for track in self._tracks.values():
            track.captions.interrupted(away_s)

    def finished(self, track: _Published) -> None:
        """Every word of a stopped track is out."""
        track.gone = True
        track.progressed.set()
        track.captions.close()
        self._service.engine.close(track.handle)
        if self._tracks.get(track.captions.name) is track:
            del self._tracks[track.captions.name]
        self.send(native.Stopped(track=track.captions.name))

    def _refuse(self, error: native.ProtocolError) -> None:
        self.send(native.Error(code=error.code, message=str(error), fatal=False, track=error.track))

    def _greet(self) -> None:
        limits, info = self._service.limits, self._service.engine.model.info
        self.send(
            native.Ready(
                session=self.id,
                secret=self._secret,
                protocol=native.SUBPROTOCOL,
                model=info.name,
                languages=list(info.languages),
                delay_ms=round(info.delay_frames * FRAME_S * 1_000),
                limits=native.Limits(
                    limits.message_bytes, limits.tracks_per_connection, limits.pending_audio_s, limits.resume_s
                ),
            )
        )

    def _read(self, payload: bytes | str) -> native.ClientMessage:
        if isinstance(payload, str):
            return native.decode_client(payload.encode(), "json")
        if self._encoding == "msgpack":
            return native.decode_client(payload, "msgpack")
        if len(self._tracks) != 1:
            raise native.ProtocolError("unknown_track", "raw audio needs a connection with exactly one track")
        return native.Audio(track=next(iter(self._tracks)), data=payload)

    async def _hear(self, audio: native.Audio, arrived_at: float) -> None:
        track = self._track(audio.track)
        if track.muted:
            return
        packet = Packet(audio.data, arrived_at, audio.captured_at, audio.seq, audio.timestamp, audio.level)
        self._service.engine.tell(Sound(track.handle, packet))
        if not track.pace.drops:
            await self._hold_back(track, audio.data)

    async def _hold_back(self, track: _Published, data: bytes) -> None:
        """Read on only when the track has room again: the client's socket fills up, and it waits."""
        decoder = track.decoder
        track.captions.sent(decoder.ticks_in(data) * SAMPLE_RATE // decoder.clock_rate)
        most = samples_in(self._service.limits.pending_audio_s)
        while track.captions.pending_samples > most and not track.gone:
            track.pace.held = True
            track.progressed.clear()
            await track.progressed.wait()
        track.pace.held = False

    def _obey(self, message: native.ClientMessage, arrived_at: float) -> None:
        match message:
            case native.Start():
                self._start(message)
            case native.Mute(track=name):
                track = self._track(name)
                track.muted = True
                self._service.engine.tell(Mute(track.handle))
            case native.Unmute(track=name):
                self._track(name).muted = False
            case native.FlushRequest(track=name, id=flush_id):
                self._service.engine.tell(Flush(self._track(name).handle, flush_id))
            case native.Stop(track=name):
                self._stop(self._track(name))
            case native.Resume():
                raise native.ProtocolError("not_resumable", "a connection resumes with its first message or never")
            case native.Ping(id=ping_id, sent_at=sent_at):
                if sent_at is not None:
                    for track in self._tracks.values():
                        track.captions.map_clock(arrived_at - sent_at)
                self.send(native.Pong(id=ping_id, received_at=arrived_at, sent_at=sent_at))

    def _start(self, start: native.Start) -> None:
        service = self._service
        if service.draining:
            raise native.ProtocolError("draining", "the server is stopping; try another", start.track)
        if start.track in self._tracks:
            raise native.ProtocolError("track_exists", f"track {start.track!r} is live already", start.track)
        if len(self._tracks) >= service.limits.tracks_per_connection:
            raise native.ProtocolError("too_many_tracks", "this connection has all the tracks it may", start.track)
        if service.engine.tracks >= service.limits.tracks:
            raise native.ProtocolError("overloaded", "the server has all the tracks it may; try another", start.track)
        try:
            decoder = decoder_for(start.codec, start.sample_rate, start.channels)
        except AudioError as error:
            raise native.ProtocolError("unsupported_audio", str(error), start.track) from None
        captions = CaptionTrack(
            room=start.room,
            name=start.track,
            participant=start.participant or native.Participant(id=start.track),
            new_id=service.new_id,
            clock=service.clock,
            metrics=service.metrics,
            emit=self.send,
        )
        track = _Published(self, captions, decoder, Pace(drops=start.live))
        track.handle = service.engine.open(start.room, decoder, track, track.pace)
        self._tracks[start.track] = track
        self.send(native.Started(track=start.track))

    def _stop(self, track: _Published) -> None:
        if not track.stopping:
            track.stopping = True
            self._service.engine.tell(Finish(track.handle, _FINISHED))

    def _track(self, name: str) -> _Published:
        track = self._tracks.get(name)
        if track is None or track.stopping:
            raise native.ProtocolError("unknown_track", f"no track {name!r} was started", name)
        return track
