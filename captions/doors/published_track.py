"""One track as a door publishes it: audio to the engine, captions back to the door and to the track's room."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import structs

from captions.doors.back_pressure import BackPressure
from captions.doors.captioner import Captioner, TrackError, TrackNews
from captions.doors.lead import Lead
from captions.doors.service import Service
from captions.engine.engine import Engine, TrackSink
from captions.engine.orders import (
    AudioEnded,
    FlushAsked,
    HearingEvent,
    PacketArrived,
    SenderHeld,
    SenderReleased,
    Taken,
    TrackMuted,
)
from captions.stream.captions import Participant, Segment, Uncaptioned
from captions.stream.codec import Codec, weight
from captions.stream.opus import SHORTEST_SAMPLES
from captions.stream.timeline import Packet
from captions.types import SAMPLE_RATE, Progress, TrackEvent, samples_in

__all__ = ["HICCUP_S", "Delivery", "PublishedTrack", "TrackOwner"]

HICCUP_S = 1.0
"""How far a track may be ahead of its time even when the server has its fill of audio that waits."""

_ENDED = "\x00ended"
"""The id of a track's last flush; no client's id begins with NUL."""


class TrackOwner(Protocol):
    """The session that publishes a track; called on the event loop."""

    def show(self, news: TrackNews, room_json: str | None) -> None:
        """Captions and notices, in order. `room_json` is a segment as the room's watchers have it, if it went there."""

    def flushed(self, track: PublishedTrack, flush_id: str) -> None:
        """Every word before a flush that was asked for is out."""

    def ended(self, track: PublishedTrack) -> None:
        """Every word of an ended track is out, and the track is gone."""


class Delivery:
    """The packets of one message, of whichever tracks: have each track `hear` its own, and `finish`.

    Much of what it costs to hand a packet on is the same for fifty.
    """

    __slots__ = ("_engine", "arrivals", "tracks")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.arrivals: list[PacketArrived] = []
        self.tracks: list[PublishedTrack] = []

    def finish(self) -> None:
        """Hand them on; what there is no room for is missed by its track."""
        if self.arrivals and (refused := self._engine.hear(self.arrivals)):
            tracks = {track.number: track for track in self.tracks}
            for arrival in refused:
                tracks[arrival.track].miss(arrival.packet)


class PublishedTrack:
    """`hear` packets in order, and wait for `room` whenever the track `is_full`; `end` it when no more come.

    A track without a `room` is private to its publisher. `live`: its audio is dropped rather than its sender held back,
    and what comes much faster than it can have been spoken is not even queued. `number`: the engine's of this track.
    `is_ending`: no more audio comes; its last words may still be on their way.
    Without an `owner` only the room is told. `beside` gets all that the engine says of the track, after the captions
    have had it.
    """

    def __init__(
        self,
        service: Service,
        owner: TrackOwner | None = None,
        *,
        room: str | None,
        name: str,
        participant: Participant,
        codec: Codec,
        live: bool,
        beside: TrackSink | None = None,
    ) -> None:
        self.name = name
        self._service = service
        self._owner = owner
        self._codec = codec
        self._measure = codec.measure
        self.is_live = live
        self.is_ending = False
        self._beside = beside
        self._muted = False
        self._published = room is not None
        self._captioner = Captioner(
            room=room or "",
            name=name,
            participant=participant,
            new_id=service.new_id,
            clock=service.clock,
            wall_clock=service.wall_clock,
            metrics=service.metrics,
            tell=self._tell,
        )
        self._engine = service.engine
        source = None if owner is None else id(owner)
        self.number = self._engine.open(room or name, codec, self, drops=live, source=source)
        self._least_samples = 0 if codec.name == "opus" else SHORTEST_SAMPLES
        self._most_bytes = codec.second_bytes or sys.maxsize
        self._most_ahead_s = service.limits.pending_audio_s
        self._lead = Lead()
        self._missed_samples = 0
        self._pressure = BackPressure(
            service.waiting_audio,
            self._most_waiting,
            hold=lambda: self._engine.tell(SenderHeld(self.number)),
            release=lambda: self._engine.tell(SenderReleased(self.number)),
        )

    @property
    def is_full(self) -> bool:
        """The track drops nothing and has its fill of audio."""
        return not self.is_live and self._pressure.is_full

    def hear(self, packet: Packet, delivery: Delivery | None = None) -> bool:
        """The next packet as it came; passed over while the track is muted or ending.

        `delivery`: with what else of its message it is handed on. False: its sender is to send no more of the kind than
        commands. It comes far too fast, or is PCM so short that taking it costs more than it holds.
        """
        if self._muted or self.is_ending:
            return self._pass_over(packet)
        data = packet.data
        if len(data) > self._most_bytes and packet.seq is None:
            return False not in [self.hear(piece, delivery) for piece in self._pieces_of(packet)]
        samples = self._measure(data)
        size = weight(samples, len(data))
        if self.is_live and not (
            self._lead.sent_in_time(size, packet.arrived_at, HICCUP_S) or self._catches_up(size, packet.arrived_at)
        ):
            self.miss(packet)
            return False
        arrival = PacketArrived(self.number, packet)
        if delivery is not None and self.is_live:
            delivery.arrivals.append(arrival)
            delivery.tracks.append(self)
        elif self._engine.hear((arrival,)):
            self.miss(packet)
            return True
        elif not self.is_live:
            self._pressure.sent(size)
        if self._missed_samples:
            self._tell_missed()
        return samples >= self._least_samples

    def miss(self, packet: Packet) -> None:
        """A packet is not heard. Of numbered ones the listener misses the number, and tells the gap in its place."""
        self._service.metrics.packets_dropped.labels(reason="too_fast").inc()
        if packet.seq is None:
            self._missed_samples += self._measure(packet.data)
            if self._missed_samples >= SAMPLE_RATE:
                self._tell_missed()

    async def room(self) -> None:
        """Wait until the track has room for more audio."""
        await self._pressure.room()

    def mute(self) -> None:
        self._muted = True
        self._engine.tell(TrackMuted(self.number))

    def unmute(self) -> None:
        self._muted = False

    def flush(self, flush_id: str) -> None:
        """The owner is told when every word of what was heard so far is out."""
        self._engine.tell(FlushAsked(self.number, flush_id))

    def end(self, at_s: float | None = None) -> None:
        """No more audio comes. The last words still do, and then the owner is told.

        `at_s`: on the track's clock; what was said from there on is heard elsewhere too, and said there.
        """
        if not self.is_ending:
            self.is_ending = True
            if at_s is not None:
                self._captioner.hand_over(at_s)
            self._engine.tell(AudioEnded(self.number, _ENDED))

    def map_clock(self, offset_s: float) -> None:
        """The sender's clock is at most so far behind ours."""
        self._captioner.map_clock(offset_s)

    def interrupted(self, away_s: float) -> None:
        """The publisher lost its connection for so long."""
        self._captioner.interrupted(away_s)

    def heard(self, event: HearingEvent) -> None:
        self._captioner.heard(event)
        if isinstance(event, Taken):
            self._pressure.taken(event.weight, event.pushed_to)
        if self._beside is not None:
            self._beside.heard(event)

    def said(self, events: Sequence[TrackEvent]) -> None:
        flushed = self._captioner.said(events)
        if not self.is_live:
            for event in events:
                if isinstance(event, Progress):
                    self._pressure.dealt(event.to)
        if self._beside is not None:
            self._beside.said(events)
        for flush_id in flushed:
            if flush_id == _ENDED:
                self._close()
            elif self._owner is not None:
                self._owner.flushed(self, flush_id)

    def _pass_over(self, packet: Packet) -> bool:
        in_time = self._lead.ahead_s(packet.arrived_at) <= self._most_ahead_s
        if in_time:
            self._lead.sent(weight(self._codec.samples_in(packet.data), len(packet.data)), packet.arrived_at)
        return in_time

    def _pieces_of(self, packet: Packet) -> Iterator[Packet]:
        """PCM of many seconds in pieces of one: what hears keeps the last of each track, and drops whole ones."""
        for second, at in enumerate(range(0, len(packet.data), self._most_bytes)):
            ticks = second * self._codec.sample_rate
            yield structs.replace(
                packet,
                data=packet.data[at : at + self._most_bytes],
                timestamp=None if packet.timestamp is None else (packet.timestamp + ticks) & 0xFFFF_FFFF,
                captured_at=None if packet.captured_at is None else packet.captured_at + second,
            )

    def _most_waiting(self) -> int:
        """What may wait of a track that drops nothing, in samples."""
        has_fill = self._engine.has_its_fill or self._service.waiting_audio.is_full
        return samples_in(HICCUP_S if has_fill else self._most_ahead_s)

    def _catches_up(self, size: int, now: float) -> bool:
        """Whether the track, which is far ahead of its time, is no further than a network that stood still explains."""
        return not self._engine.has_its_fill and self._lead.sent_in_time(size, now, self._most_ahead_s)

    def _tell_missed(self) -> None:
        if self._missed_samples:
            self._captioner.missed(self._missed_samples)
            self._missed_samples = 0

    def _close(self) -> None:
        self._tell_missed()
        self._pressure.end()
        self._captioner.close()
        self._engine.close(self.number)
        if self._owner is not None:
            self._owner.ended(self)

    def _tell(self, news: TrackNews | Uncaptioned) -> None:
        room_json = None
        if isinstance(news, Segment | Uncaptioned) and self._published:
            room_json = self._service.rooms.publish(news, self._service.clock())
        if isinstance(news, Uncaptioned):
            return
        if isinstance(news, TrackError):
            self._service.metrics.errors.labels(code=news.code).inc()
        if self._owner is not None:
            self._owner.show(news, room_json)
