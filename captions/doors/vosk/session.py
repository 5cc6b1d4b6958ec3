"""One connection on Vosk's protocol: a single track, private to its client unless the address names a room."""

from __future__ import annotations

from collections import deque

from captions.doors.captioner import TrackError, TrackNews
from captions.doors.languages import hears, unheard_text
from captions.doors.names import error_text
from captions.doors.published_track import PublishedTrack
from captions.doors.service import Line, Service
from captions.doors.vosk import messages as vosk
from captions.stream.captions import Participant, Segment
from captions.stream.codec import Codec
from captions.stream.timeline import Packet

__all__ = ["VoskSession"]

_DEFAULT_RATE = 8_000
_DONE, _REFUSED, _FAILED = 1000, 1008, 1011
_END, _RESET = "end", "reset"


class VoskSession:
    """Pass every payload to `receive`, in order, then call `disconnected`. A `TrackOwner`.

    A message of audio is answered at once, with what is known by then: the oldest final segment that was not told yet,
    or else the text under way. A client that sends faster than the model hears waits for its reply, and so does not
    run ahead; nothing of it is dropped.
    """

    def __init__(self, service: Service, line: Line, participant: Participant, room: str | None) -> None:
        self._service = service
        self._line = line
        self._participant = participant
        self._room = room
        self._sample_rate = _DEFAULT_RATE
        self._words = True
        self._track: PublishedTrack | None = None
        self._finals: deque[Segment] = deque()
        self._under_way = ""

    async def receive(self, payload: bytes | str) -> None:
        if isinstance(payload, bytes):
            track = self._track = self._track or self._begin()
            track.hear(Packet(payload, self._service.clock()))
            if track.is_full:
                await track.room()
            self._reply()
            return
        try:
            self._obey(vosk.decode_control(payload))
        except vosk.VoskProtocolError as error:
            self._service.metrics.errors.labels(code="bad_message").inc()
            self._line.hang_up(_REFUSED, error_text(error))

    def finish(self) -> None:
        if self._track is not None:
            self._track.end()

    def disconnected(self) -> None:
        self.finish()

    def show(self, news: TrackNews, room_json: str | None) -> None:
        del room_json
        match news:
            case Segment(final=True):
                self._under_way = ""
                if news.words:
                    self._finals.append(news)
            case Segment():
                self._under_way = f"{news.text} {news.tentative}".strip()
            case TrackError(code="model_failed"):
                self._line.hang_up(_FAILED, error_text(news.message))

    def flushed(self, track: PublishedTrack, flush_id: str) -> None:
        del track
        self._line.write(vosk.result(self._finals, words=self._words))
        self._finals.clear()
        if flush_id == _END:
            self._line.hang_up(_DONE, "")

    def ended(self, track: PublishedTrack) -> None:
        """The client reads replies to what it sends, and nothing else."""

    def _obey(self, control: vosk.Control) -> None:
        match control:
            case vosk.Settings():
                self._configure(control)
            case vosk.EndOfFile():
                self._flush(_END)
            case vosk.Reset():
                self._flush(_RESET)

    def _configure(self, settings: vosk.Settings) -> None:
        languages = self._service.engine.info.languages
        if not hears(languages, settings.language):
            raise vosk.VoskProtocolError(unheard_text(languages))
        if settings.words is not None:
            self._words = settings.words
        if settings.sample_rate is not None:
            if self._track is not None and settings.sample_rate != self._sample_rate:
                raise vosk.VoskProtocolError("the sample rate cannot change once audio has come")
            self._sample_rate = int(settings.sample_rate)

    def _begin(self) -> PublishedTrack:
        return PublishedTrack(
            self._service,
            self,
            room=self._room,
            name=self._participant.id,
            participant=self._participant,
            codec=Codec("pcm_s16le", self._sample_rate),
            live=False,
        )

    def _flush(self, flush_id: str) -> None:
        track = self._track = self._track or self._begin()
        track.flush(flush_id)

    def _reply(self) -> None:
        if self._finals:
            self._line.write(vosk.result([self._finals.popleft()], words=self._words))
        else:
            self._line.write(vosk.partial(self._under_way))
