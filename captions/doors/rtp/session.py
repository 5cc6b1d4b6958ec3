"""All participants whose audio comes as RTP on one port, told apart by the source in their packets."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TypeAlias

from captions.doors.captioner import TrackNews
from captions.doors.grant import Grant, Right
from captions.doors.published_track import PublishedTrack
from captions.doors.rtp.messages import RtpAnswer, RtpRequest
from captions.doors.service import Service
from captions.doors.slots import NoSlot
from captions.stream import rtp
from captions.stream.captions import Participant
from captions.stream.codec import Codec
from captions.stream.srtp import NoSrtp, Srtp, SrtpError
from captions.stream.timeline import Packet

__all__ = ["Address", "RtpRefusal", "RtpSession"]

Address: TypeAlias = tuple[str, int]

_AFTER_BYE_S = 5.0
"""A source that said BYE and is not heard of for so long is gone; a late packet of it may still be on its way."""


class RtpRefusal(Exception):
    """No audio is taken; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class _Source:
    """`address`: where its first packet came from; what comes from elsewhere is not its own.

    `srtp`: what opens its packets, if they are encrypted.
    """

    id: str
    room: str
    track: PublishedTrack
    payload_type: int | None
    level_extension: int | None
    heard_at: float
    grant: Grant
    srtp: Srtp | None = None
    address: Address | None = None
    left: bool = False


class RtpSession:
    """`open` a source, then pass datagrams to `received`; `close` it, or `sweep` now and then. A `TrackOwner`.

    A packet of an unknown source costs a look into a table and is counted. Nothing goes back: segments go to the rooms.
    """

    def __init__(self, service: Service, address: Address, forget_after_s: float) -> None:
        self._service = service
        self._address = address
        self._forget_after_s = forget_after_s
        self._sources: dict[int, _Source] = {}

    @property
    def sources(self) -> int:
        """How many are expected or heard."""
        return len(self._sources)

    def open(self, request: RtpRequest, grant: Grant) -> RtpAnswer:
        """Expect a participant's packets.

        Raises:
            RtpRefusal: who asks may not, or the server cannot.
        """
        participant = grant.speaks_as or request.participant or Participant(request.track)
        asked = request.participant.id if request.participant is not None else None
        if not grant.allows(Right.PUBLISH, request.room, asked):
            raise RtpRefusal(403, "the key or token is not good for this room")
        if self._service.draining:
            raise RtpRefusal(503, "the server is stopping; try another")
        ssrc = request.ssrc or self._new_ssrc()
        if ssrc in self._sources:
            raise RtpRefusal(409, f"packets of the source {ssrc} are another participant's")
        try:
            srtp = None if request.srtp_key is None else Srtp(request.srtp_key, ssrc)
        except NoSrtp as error:
            raise RtpRefusal(501, str(error)) from None
        try:
            self._service.slots.take(grant)
        except NoSlot as error:
            raise RtpRefusal(503, str(error)) from None
        track = PublishedTrack(
            self._service,
            self,
            room=request.room,
            name=request.track,
            participant=participant,
            codec=Codec("opus"),
            live=True,
        )
        source = self._sources[ssrc] = _Source(
            self._service.new_id(),
            request.room,
            track,
            request.payload_type,
            request.audio_level_extension,
            self._service.clock(),
            grant,
            srtp,
        )
        return RtpAnswer(
            id=source.id,
            address=self._address[0],
            port=self._address[1],
            ssrc=ssrc,
            payload_type=request.payload_type,
            forget_after_s=self._forget_after_s,
        )

    def close(self, source_id: str, grant: Grant) -> None:
        """No more packets come of a source.

        Raises:
            RtpRefusal: there is none of this id for this grant.
        """
        for ssrc, source in self._sources.items():
            if source.id == source_id and grant.allows(Right.PUBLISH, source.room):
                self._end(ssrc)
                return
        raise RtpRefusal(404, "no such source")

    def received(self, datagram: bytes, address: Address, arrived_at: float) -> None:
        """A datagram of anybody."""
        try:
            if rtp.is_rtcp(datagram):
                self._goodbyes(datagram, address)
                return
            _, second, seq, timestamp, ssrc = rtp.head_of(datagram)
            source = self._sources.get(ssrc)
            if source is None or (source.address != address and source.address is not None):
                self._dropped("unknown_source")
                return
            if source.srtp is not None:
                datagram = source.srtp.open(datagram)
            payload, level = rtp.audio_of(datagram, source.level_extension)
        except SrtpError:
            self._dropped("srtp")
            return
        except rtp.RtpError:
            self._dropped("malformed")
            return
        source.address = address
        source.heard_at = arrived_at
        source.left = False
        if payload and (source.payload_type is None or source.payload_type == second & 0x7F):
            source.track.hear(Packet(payload, arrived_at, None, seq, timestamp, level))

    def sweep(self, now: float) -> None:
        """End what was not heard of for long, or said BYE."""
        for ssrc, source in tuple(self._sources.items()):
            if now - source.heard_at > (_AFTER_BYE_S if source.left else self._forget_after_s):
                self._end(ssrc)

    def finish(self) -> None:
        """The server is stopping: bring the last words out."""
        for ssrc in tuple(self._sources):
            self._end(ssrc)

    def show(self, news: TrackNews, room_json: str | None) -> None:
        """The room is told, and nobody else."""

    def flushed(self, track: PublishedTrack, flush_id: str) -> None:
        """Nobody asks for one here."""

    def ended(self, track: PublishedTrack) -> None:
        """It has left the table already."""

    def _goodbyes(self, datagram: bytes, address: Address) -> None:
        """Nobody says it for a source that is encrypted but itself."""
        reporter = self._sources.get(rtp.reporter_of(datagram))
        if reporter is not None and reporter.srtp is not None and reporter.address == address:
            datagram = reporter.srtp.open_control(datagram)
        for ssrc in rtp.goodbyes(datagram):
            leaving = self._sources.get(ssrc)
            if leaving is not None and leaving.address == address and (leaving.srtp is None or leaving is reporter):
                leaving.left = True

    def _end(self, ssrc: int) -> None:
        source = self._sources.pop(ssrc)
        source.track.end()
        self._service.slots.free(source.grant)

    def _new_ssrc(self) -> int:
        while (ssrc := secrets.randbits(32)) in self._sources or not ssrc:
            pass
        return ssrc

    def _dropped(self, reason: str) -> None:
        self._service.metrics.packets_dropped.labels(reason=reason).inc()
