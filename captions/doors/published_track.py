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
from captions.engine.engine import TrackSink
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

__all__ = ["HICCUP_S", "PublishedTrack", "TrackOwner"]

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


class PublishedTrack:
    """`hear` packets in order, and wait for `room` whenever the track `is_full`; `end` it when no more come.

    A track without a `room` is private to its publisher. `live`: its audio is dropped rather than its sender held back,
    and what comes much faster than it can have been spoken is not even queued.
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
        self._live = live
        self._beside = beside
        self._muted = False
        self._published = room is not None
        self._ending = False
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
        self._number = self._engine.open(room or name, codec, self, drops=live, source=source)
        self._least_samples = 0 if codec.name == "opus" else SHORTEST_SAMPLES
        self._most_bytes = codec.second_bytes or sys.maxsize
        self._most_ahead_s = service.limits.pending_audio_s
        self._lead = Lead()
        self._missed_samples = 0
        self._pressure = BackPressure(
            service.waiting_audio,
            self._most_waiting,
            hold=lambda: self._engine.tell(SenderHeld(self._number)),
            release=lambda: self._engine.tell(SenderReleased(self._number)),
        )

    @property
    def is_ending(self) -> bool:
        """No more audio comes; its last words may still be on their way."""
        return self._ending

    @property
    def is_full(self) -> bool:
        """The track drops nothing and has its fill of audio."""
        return not self._live and self._pressure.is_full

    def hear(self, packet: Packet) -> bool:
        """The next packet as it came; passed over while the track is muted or ending.

        False: its sender is to send no more of the kind than commands. It comes far too fast, or is PCM so short that
        taking it costs more than it holds.
        """
        if self._muted or self._ending:
            return self._pass_over(packet)
        if len(packet.data) > self._most_bytes and packet.seq is None:
            return False not in [self.hear(piece) for piece in self._pieces_of(packet)]
        samples = self._codec.samples_in(packet.data)
        size = weight(samples, len(packet.data))
        too_fast = self._live and self._is_too_fast(packet)
        if too_fast or not self._engine.tell(PacketArrived(self._number, packet)):
            self._miss(packet, samples)
            return not too_fast
        if self._live:
            self._lead.sent(size, packet.arrived_at)
        else:
            self._pressure.sent(size)
        if self._missed_samples:
            self._tell_missed()
        return samples >= self._least_samples

    async def room(self) -> None:
        """Wait until the track has room for more audio."""
        await self._pressure.room()

    def mute(self) -> None:
        self._muted = True
        self._engine.tell(TrackMuted(self._number))

    def unmute(self) -> None:
        self._muted = False

    def flush(self, flush_id: str) -> None:
        """The owner is told when every word of what was heard so far is out."""
        self._engine.tell(FlushAsked(self._number, flush_id))

    def end(self) -> None:
        """No more audio comes. The last words still do, and then the owner is told."""
        if not self._ending:
            self._ending = True
            self._engine.tell(AudioEnded(self._number, _ENDED))

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
        if not self._live:
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

    def _is_too_fast(self, packet: Packet) -> bool:
        """Whether the track is further ahead of its time than a network that stood still explains."""
        ahead_s = self._lead.ahead_s(packet.arrived_at)
        return ahead_s > HICCUP_S and (ahead_s > self._most_ahead_s or self._engine.has_its_fill)

    def _miss(self, packet: Packet, samples: int) -> None:
        """A packet is not heard. Of numbered ones the listener misses the number, and tells the gap in its place."""
        self._service.metrics.packets_dropped.labels(reason="too_fast").inc()
        if packet.seq is None:
            self._missed_samples += samples
            if self._missed_samples >= SAMPLE_RATE:
                self._tell_missed()

    def _tell_missed(self) -> None:
        if self._missed_samples:
            self._captioner.missed(self._missed_samples)
            self._missed_samples = 0

    def _close(self) -> None:
        self._tell_missed()
        self._pressure.end()
        self._captioner.close()
        self._engine.close(self._number)
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
