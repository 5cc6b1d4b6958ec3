"""One connection of a Jitsi videobridge: a meeting's sources in, their captions to its room and, if asked, back."""

from __future__ import annotations

from msgspec import Struct

from captions.doors.captioner import TrackNews
from captions.doors.grant import Grant, Right
from captions.doors.jitsi import messages as jitsi
from captions.doors.languages import hears
from captions.doors.published_track import PublishedTrack
from captions.doors.service import Service, Write
from captions.doors.slots import NoSlot
from captions.stream.captions import Id, Label, Participant, Segment
from captions.stream.codec import AudioError, Codec
from captions.stream.timeline import Packet

__all__ = ["JitsiQuery", "JitsiSession"]


class JitsiQuery(Struct, frozen=True, rename="camel"):
    """The room, and what goes back: final texts, and those that may still grow."""

    session_id: Id
    send_back: bool = False
    send_back_interim: bool = False
    lang: Label = ""


class _Source:
    """A source of audio, and what of its newest message the browsers have."""

    def __init__(self, track: PublishedTrack, codec: Codec, participant: jitsi.Participant) -> None:
        self.track = track
        self.codec = codec
        self.participant = participant
        self.stable = ""
        self.unstable = ""


class JitsiSession:
    """Pass every payload to `receive`, in order, then call `disconnected`. A `TrackOwner`.

    The bridge reads no errors: what is wrong with one source is counted, and costs the others nothing.
    """

    def __init__(self, service: Service, write: Write, query: JitsiQuery, grant: Grant) -> None:
        self._service = service
        self._write = write
        self._query = query
        self._grant = grant
        self._sources: dict[str, _Source] = {}
        languages = service.engine.info.languages
        self._language = query.lang if query.lang and hears(languages, query.lang) else languages[0]

    async def receive(self, payload: bytes | str) -> int:
        if isinstance(payload, bytes):
            self._wrong("bad_message")
            return 1
        try:
            event = jitsi.decode(payload)
        except jitsi.JitsiProtocolError:
            self._wrong("bad_message")
            return 1
        match event:
            case jitsi.MediaEvent(media):
                return self._hear(media)
            case jitsi.Ping():
                self._write(jitsi.pong(event))
            case jitsi.StartEvent(start):
                self._start(start)
            case jitsi.StopEvent(jitsi.Stop(tag, None)) if tag in self._sources:
                self._sources[tag].track.end()
            case jitsi.SessionEnd():
                self.finish()
        return 1

    @property
    def tracks(self) -> int:
        return len(self._sources)

    @property
    def holder(self) -> str:
        """Whose grant it began with."""
        return self._grant.holder

    def finish(self) -> None:
        for source in self._sources.values():
            source.track.end()

    def disconnected(self) -> None:
        self.finish()

    def show(self, news: TrackNews, room_json: str | None) -> None:
        del room_json
        if isinstance(news, Segment) and self._query.send_back:
            source = self._sources.get(news.track)
            if source is not None:
                self._send_back(source, news)

    def flushed(self, track: PublishedTrack, flush_id: str) -> None:
        """Nobody asks for one here."""

    def ended(self, track: PublishedTrack) -> None:
        source = self._sources.get(track.name)
        if source is not None and source.track is track:
            del self._sources[track.name]
        self._service.slots.give_back(self)

    def _start(self, start: jitsi.Start) -> None:
        """A source's first event, or its next one where its encoding changed."""
        try:
            codec = _codec_of(start.media_format)
        except AudioError:
            self._wrong("unsupported_audio")
            return
        source = self._sources.get(start.tag)
        if source is not None and source.codec == codec and not source.track.is_ending:
            return
        if source is not None:
            source.track.end()
        custom = start.custom_parameters
        endpoint = (custom.endpoint_id if custom is not None else None) or start.tag
        refusal = self._refusal(endpoint)
        if refusal is not None:
            self._wrong(refusal)
            return
        track = PublishedTrack(
            self._service,
            self,
            room=self._query.session_id,
            name=start.tag,
            participant=self._grant.speaks_as or Participant(endpoint),
            codec=codec,
            live=True,
        )
        self._sources[start.tag] = _Source(track, codec, jitsi.Participant(endpoint, start.tag))

    def _refusal(self, endpoint: str) -> str | None:
        limits = self._service.limits
        if not self._grant.allows(Right.PUBLISH, self._query.session_id, endpoint):
            return "forbidden"
        if self._service.draining:
            return "draining"
        if len(self._sources) >= limits.tracks_per_connection:
            return "too_many_tracks"
        try:
            self._service.slots.take(self._grant)
        except NoSlot:
            return "overloaded"
        return None

    def _hear(self, media: jitsi.Media) -> int:
        source = self._sources.get(media.tag)
        if source is None:
            self._wrong("unknown_track")
            return 0
        return not source.track.hear(
            Packet(
                media.payload,
                self._service.clock(),
                seq=media.chunk & 0xFFFF,
                timestamp=media.timestamp & 0xFFFF_FFFF,
                level=media.audio_level,
            )
        )

    def _send_back(self, source: _Source, segment: Segment) -> None:
        """What is new of a segment: its committed text as stable, and as unstable what follows it and may change."""
        if segment.final and segment.words:
            self._tell(source, segment, segment.text, None)
        elif self._query.send_back_interim:
            unstable = segment.tentative and f" {segment.tentative}" if segment.text else segment.tentative
            if segment.text != source.stable:
                self._tell(source, segment, segment.text, jitsi.STABLE)
            if unstable != source.unstable:
                self._tell(source, segment, unstable, jitsi.UNSTABLE)
            source.stable, source.unstable = segment.text, unstable
        if segment.final:
            source.stable = source.unstable = ""

    def _tell(self, source: _Source, segment: Segment, text: str, stability: float | None) -> None:
        now_ms = int(self._service.wall_clock() * 1_000)
        self._write(jitsi.result(segment.id, text, source.participant, self._language, now_ms, stability))

    def _wrong(self, code: str) -> None:
        self._service.metrics.errors.labels(code=code).inc()


def _codec_of(media_format: jitsi.MediaFormat) -> Codec:
    """Opus says two channels in its session description whatever it carries (RFC 7587), and is decoded to one.

    Raises:
        AudioError: it is not Opus.
    """
    if media_format.encoding.lower() != "opus":
        raise AudioError(f"{media_format.encoding} from a videobridge; Opus is known")
    return Codec("opus", media_format.sample_rate)
