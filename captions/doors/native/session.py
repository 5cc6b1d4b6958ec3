"""One session of the native protocol: its tracks, from messages in to messages out, over one connection or several."""

from __future__ import annotations

from typing import TypeAlias

from captions.doors.captioner import TrackError, TrackNews
from captions.doors.grant import Grant, Right
from captions.doors.names import error_text
from captions.doors.native import messages as native
from captions.doors.native.hearing import Hearing
from captions.doors.published_track import PublishedTrack
from captions.doors.resume_log import ResumeLog
from captions.doors.service import Service, Write
from captions.doors.slots import NoSlot
from captions.stream.codec import AudioError, Codec
from captions.types import FRAME_S

__all__ = ["Session"]

_Command: TypeAlias = (
    native.Start | native.Mute | native.Unmute | native.FlushRequest | native.Stop | native.Ping | native.Resume
)
"""Every message of a client but audio."""


class Session:
    """Pass every payload to `receive`, in order; what goes back is given to `write`. `detach` when the client is gone.

    A session outlives its connection: `attach` gives it another one, and the messages the client has missed. `finish`
    ends its tracks. The session is forgotten once it is finished and nobody is attached, in whichever order. A
    `TrackOwner`.
    """

    def __init__(self, service: Service, encoding: native.Encoding, write: Write, grant: Grant) -> None:
        self.id = service.new_id()
        self._grant = grant
        self._service = service
        self._write: Write | None = write
        self._encoding: native.Encoding = encoding
        self._tracks = Hearing(service, self.refuse)
        self._log = ResumeLog(service.limits.outbox_messages, service.limits.outbox_bytes, service.waiting)
        self._detached_at: float | None = None
        self._finished = False
        self._named = service.others([])
        service.sessions[self.id] = self
        self._greet()

    @property
    def tracks(self) -> int:
        return len(self._tracks)

    @property
    def holder(self) -> str:
        """Whose grant it began with."""
        return self._grant.holder

    async def receive(self, payload: bytes | str) -> int:
        """One frame of the client; waits while a track that must not drop audio has its fill of it.

        Returns how many commands it counts for: it was one, was no message, or had audio in crumbs or far too fast,
        whether of a track or of none. Audio that is wrong is none: that of others is beside it.
        """
        arrived_at = self._service.clock()
        try:
            message = self._read(payload)
            if isinstance(message, native.Packets):
                return await self._tracks.hear_all(message.packets, [], arrived_at)
            if isinstance(message, native.Audio):
                return await self._tracks.hear(message, arrived_at)
            if isinstance(message, native.SpoiltPackets):
                return await self._tracks.hear_all(message.sound, message.spoilt, arrived_at)
            self._obey(message, arrived_at)
        except native.ProtocolError as error:
            self.refuse(error)
        return 1

    def refuse(self, error: native.ProtocolError) -> None:
        """Say what is wrong with a message."""
        self._service.metrics.errors.labels(code=error.code).inc()
        node = self._service.elsewhere() if error.code in ("draining", "overloaded") else None
        self._send(native.Error(code=error.code, message=str(error), fatal=False, track=error.track, node=node))

    def finish(self) -> None:
        """End every track as if it had been stopped; their last words still reach the rooms."""
        self._finished = True
        for track in self._tracks:
            track.end()
        self._forget_if_over()

    def ask_to_leave(self, deadline_s: float) -> None:
        """The node stops: a client that can move its tracks does so before the deadline."""
        if len(self._tracks):
            self._send(native.Draining(round(deadline_s, 1), self._service.elsewhere()))

    def name_others(self) -> None:
        """There are other nodes than before: the client is told, if those it was told of are not among them."""
        named = self._service.others(self._named)
        if set(named) != set(self._named):
            self._named = named
            self._send(native.OtherNodes(named))

    def is_served_by(self, write: Write) -> bool:
        """Whether this connection still has the session: another may have resumed it."""
        return self._write == write

    def detach(self) -> float:
        """The client is gone: what is said is kept for it. The moment, to `give_up` on it later."""
        self._write = None
        self._detached_at = self._service.clock()
        self._service.slots.set_aside(self)
        self._forget_if_over()
        return self._detached_at

    def give_up(self, detached_at: float) -> None:
        """The client that was gone since `detached_at` has not come back in time."""
        if self._detached_at == detached_at:
            self.finish()

    def attach(self, resume: native.Resume, write: Write, grant: Grant) -> None:
        """The client is back: what it has missed is sent again, then the gap in each of its tracks.

        Raises:
            ProtocolError: it does not know the session's secret, or may not do what the session began with.
        """
        if not self._log.knows(resume.secret) or not grant.continues(self._grant):
            raise native.ProtocolError("not_resumable", "no such session, or not its secret")
        for payload in self._log.missed(resume.received):
            write(payload)
        self._write = write
        self._service.slots.called_back(self)
        now = self._service.clock()
        away_s = 0.0 if self._detached_at is None else now - self._detached_at
        self._detached_at = None
        for track in self._tracks:
            track.interrupted(away_s)

    def show(self, news: TrackNews, room_json: str | None) -> None:
        if isinstance(news, TrackError):
            self._send(native.Error(code=news.code, message=error_text(news.message), fatal=False, track=news.track))
        elif room_json is not None and self._encoding == "json":
            self._put(room_json)
        else:
            self._send(news)

    def flushed(self, track: PublishedTrack, flush_id: str) -> None:
        self._send(native.Flushed(track=track.name, id=flush_id))

    def ended(self, track: PublishedTrack) -> None:
        self._tracks.remove(track)
        self._service.slots.give_back(self)
        self._send(native.Stopped(track=track.name))

    def _greet(self) -> None:
        limits, info = self._service.limits, self._service.engine.info
        self._send(
            native.Ready(
                session=self.id,
                secret=self._log.secret,
                protocol=native.SUBPROTOCOL,
                model=info.name,
                languages=list(info.languages),
                delay_ms=round(info.delay_frames * FRAME_S * 1_000),
                limits=native.Limits(
                    limits.message_bytes,
                    limits.tracks_per_connection,
                    limits.pending_audio_s,
                    limits.resume_s,
                    native.MOST_PACKETS,
                ),
                nodes=self._named,
            )
        )

    def _send(self, message: native.ServerMessage) -> None:
        self._put(native.encode(message, self._encoding))

    def _put(self, payload: bytes | str) -> None:
        self._log.keep(payload)
        if self._write is not None:
            self._write(payload)

    def _forget_if_over(self) -> None:
        if self._finished and self._write is None:
            self._service.sessions.pop(self.id, None)
            self._service.slots.called_back(self)
            self._log.close()

    def _read(self, payload: bytes | str) -> native.ClientMessage | native.SpoiltPackets:
        if isinstance(payload, str):
            return native.decode_client(payload.encode(), "json")
        if self._encoding == "msgpack":
            return native.decode_client(payload, "msgpack")
        return native.Audio(track=self._tracks.only_track(), data=payload)

    def _obey(self, command: _Command, arrived_at: float) -> None:
        match command:
            case native.Start():
                self._start(command)
            case native.Mute(track=name):
                self._tracks.track(name).mute()
            case native.Unmute(track=name):
                self._tracks.track(name).unmute()
            case native.FlushRequest(track=name, id=flush_id):
                self._tracks.track(name).flush(flush_id)
            case native.Stop(track=name, at=at):
                self._tracks.track(name).end(at)
            case native.Resume():
                raise native.ProtocolError("not_resumable", "a connection resumes with its first message or never")
            case native.Ping(id=ping_id, sent_at=sent_at):
                if sent_at is not None:
                    for track in self._tracks:
                        track.map_clock(arrived_at - sent_at)
                self._send(native.Pong(id=ping_id, received_at=arrived_at, sent_at=sent_at))

    def _start(self, start: native.Start) -> None:
        service = self._service
        wanted = start.participant
        if not self._grant.allows(Right.PUBLISH, start.room, wanted.id if wanted is not None else None):
            raise native.ProtocolError("forbidden", "the key or token is not good for this room", start.track)
        if service.draining:
            raise native.ProtocolError("draining", "the server is stopping; try another", start.track)
        if start.track in self._tracks:
            raise native.ProtocolError("track_exists", f"track {start.track!r} is live already", start.track)
        if len(self._tracks) >= service.limits.tracks_per_connection:
            raise native.ProtocolError("too_many_tracks", "this connection has all the tracks it may", start.track)
        try:
            codec = Codec(start.codec, start.sample_rate, start.channels)
            service.slots.take(self._grant)
        except AudioError as error:
            raise native.ProtocolError("unsupported_audio", str(error), start.track) from None
        except NoSlot as error:
            raise native.ProtocolError("overloaded", str(error), start.track) from None
        track = PublishedTrack(
            service,
            self,
            room=start.room,
            name=start.track,
            participant=self._grant.speaks_as or wanted or native.Participant(id=start.track),
            codec=codec,
            live=start.live,
        )
        self._send(native.Started(track=start.track, handle=self._tracks.add(track, codec)))
