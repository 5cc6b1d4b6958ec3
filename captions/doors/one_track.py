"""What the protocols with one track a connection have in common: how its track begins, is fed, and comes to its end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from captions.doors.captioner import TrackError, TrackNews
from captions.doors.languages import hears, unheard_text
from captions.doors.names import error_text
from captions.doors.published_track import PublishedTrack
from captions.doors.service import Line, Service
from captions.engine.orders import HearingEvent
from captions.stream.captions import Participant
from captions.stream.codec import Codec
from captions.stream.timeline import Packet
from captions.types import TrackEvent

__all__ = ["DONE", "REFUSED", "OneTrackSession"]

DONE, REFUSED = 1000, 1008
"""Close codes (RFC 6455, 7.4.1): all was said; what the client sent cannot be."""
_GOING_AWAY, _FAILED = 1001, 1011


class OneTrackSession(ABC):
    """The base of a door's session. The door calls `open`, once it knows the codec, and `hear` for all audio.

    It says what is `told` of the track, and what is left to say `at_last` when the server stops: then the connection is
    closed behind it, with the code at which clients connect again. A full server and one that stops let nobody in: they
    answer before the socket opens, see `is_track` in the routes. A client that sends faster than the model hears is not
    read from meanwhile, so that nothing of it is dropped. A `TrackOwner`, and a `TrackSink` beside its track.
    """

    def __init__(self, service: Service, line: Line, participant: Participant, room: str | None) -> None:
        """Without a `room` the captions are the client's alone."""
        self._service = service
        self._line = line
        self._participant = participant
        self._room = room
        self._track: PublishedTrack | None = None

    @abstractmethod
    async def receive(self, payload: bytes | str) -> int:
        """The next payload of the client, in order. Returns how many commands it counts for, see routes.py."""

    @abstractmethod
    def told(self, news: TrackNews) -> None:
        """Captions and notices of the track, in order."""

    @abstractmethod
    def flushed(self, track: PublishedTrack, flush_id: str) -> None:
        """Every word before a flush that was asked for is out."""

    def at_last(self) -> None:  # noqa: B027 -- a door may have nothing to say then
        """The server stops, and every word is out: say what the client still waits for."""

    def open(self, codec: Codec) -> PublishedTrack:
        """The track, which begins with the first call."""
        if self._track is None:
            self._track = PublishedTrack(
                self._service,
                self,
                room=self._room,
                name=self._participant.id,
                participant=self._participant,
                codec=codec,
                live=False,
                beside=self,
            )
        return self._track

    async def hear(self, track: PublishedTrack, audio: bytes) -> int:
        """Audio as it came; waits while the track has its fill. Returns how many commands it counts for."""
        in_order = track.hear(Packet(audio, self._service.clock()))
        if track.is_full:
            await track.room()
        return not in_order

    def unheard(self, language: str | None) -> str | None:
        """Why a language cannot be had, or None."""
        languages = self._service.engine.info.languages
        return None if hears(languages, language) else unheard_text(languages)

    def wrong(self) -> None:
        """Count a payload that cannot be read."""
        self._service.metrics.errors.labels(code="bad_message").inc()

    def refuse(self, why: object) -> None:
        """Close on a client that sent what cannot be."""
        self.wrong()
        self._line.hang_up(REFUSED, error_text(why))

    def finish(self) -> None:
        """No more audio is taken: bring the last words out."""
        if self._track is not None:
            self._track.end()

    def disconnected(self) -> None:
        """The client is gone; its last words still reach its room."""
        self.finish()

    def show(self, news: TrackNews, room_json: str | None) -> None:
        del room_json
        self.told(news)
        if isinstance(news, TrackError) and news.code == "model_failed":
            self._line.hang_up(_FAILED, error_text(news.message))

    def ended(self, track: PublishedTrack) -> None:
        del track
        if self._service.draining:
            self.at_last()
            self._line.hang_up(_GOING_AWAY, "the server is stopping")

    def heard(self, event: HearingEvent) -> None:
        """What matters of it is `told`."""
        del event

    def said(self, events: Sequence[TrackEvent]) -> None:
        """What matters of it is `told`, unless a protocol needs the ends of spurts."""
        del events
