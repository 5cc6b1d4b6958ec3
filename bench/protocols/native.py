"""Our own protocol, `/v1/stream`: many tracks on one connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.load.clips import AudioFormat
from bench.measure.events import Done, Observation, Seen, SeenWord, SpeechTurn, Trouble
from bench.protocols.dialect import DuePacket, Payload, with_route
from captions.doors.native import messages as native
from captions.stream.figures import PARTS
from captions.stream.opus import OPUS_CLOCK

__all__ = ["NativeDialect", "seen_of"]

_FIGURES = ("word_latency", *PARTS, "first_partial", "ttfs", "capture_to_caption")


class NativeDialect:
    """See `Dialect`. `room`: the room of all tracks. `clock_at`: the harness's clock, for capture_to_caption."""

    padding: bytes | None = None
    lingers_s = 0.0

    def __init__(
        self, url: str, key: str | None, tracks: Sequence[str], audio_format: AudioFormat, room: str, clock_at: float
    ) -> None:
        self.url = with_route(url, "/v1/stream")
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {key}"} if key else {}
        self.subprotocols: Sequence[str] = [native.SUBPROTOCOL]
        self.audio_format = audio_format
        self._tracks = tracks
        self._room = room
        self._clock_at = clock_at
        self._handles: dict[str, int] = {}
        self._timestamp_step = round(audio_format.packet_s * self._clock_rate)

    @property
    def _clock_rate(self) -> int:
        return OPUS_CLOCK if self.audio_format.codec == "opus" else self.audio_format.sample_rate

    def opening(self) -> list[Payload]:
        starts = [
            native.Start(self._room, track, self.audio_format.codec, sample_rate=self._clock_rate)
            for track in self._tracks
        ]
        return [*map(_encoded, starts), _encoded(native.Ping(id="clock", sent_at=self._clock_at))]

    def audio(self, packets: Sequence[DuePacket]) -> list[Payload]:
        """One message, if the server was heard to start all their tracks and there is more than one packet."""
        handles = self._handles
        if len(packets) > 1 and all(packet.track in handles for packet in packets):
            return [_encoded(native.Packets([self._numbered(packet) for packet in packets]))]
        return [_encoded(self._alone(packet)) for packet in packets]

    def _numbered(self, packet: DuePacket) -> native.TrackPacket:
        handle, seq, timestamp = self._handles[packet.track], packet.number & 0xFFFF, self._timestamp(packet)
        return native.TrackPacket(handle, packet.data, seq, timestamp, packet.level, packet.captured_at)

    def _alone(self, packet: DuePacket) -> native.Audio:
        seq, timestamp = packet.number & 0xFFFF, self._timestamp(packet)
        return native.Audio(packet.track, packet.data, seq, timestamp, packet.captured_at, packet.level)

    def _timestamp(self, packet: DuePacket) -> int:
        return packet.number * self._timestamp_step & 0xFFFFFFFF

    def finishing(self, track: str) -> list[Payload]:
        return [_encoded(native.Stop(track))]

    def receive(self, payload: Payload, at: float) -> list[Observation]:
        try:
            message = native.decode_server(payload)
        except native.ProtocolError as error:
            raise ValueError(str(error)) from None
        match message:
            case native.Segment():
                return [seen_of(message, at)]
            case native.SpeechNotice():
                return [SpeechTurn(message.track, at, message.speaking, message.at)]
            case native.Started(track=track, handle=handle) if handle:
                self._handles[track] = handle
            case native.Stopped(track=track):
                return [Done(track, at)]
            case native.GapNotice(track=track, start=start, end=end, reason=reason):
                return [Trouble(track, at, f"gap: {reason}", end - start)]
            case native.Error(track=track, code=code, message=text):
                return [Trouble(track or "", at, f"{code}: {text}")]
        return []


def _encoded(message: native.ClientMessage) -> Payload:
    return native.encode(message, "msgpack")


def seen_of(segment: native.Segment, at: float) -> Seen:
    """A segment as it looks from `at` on."""
    latency = segment.latency
    return Seen(
        track=segment.track,
        at=at,
        unit=segment.id,
        committed=tuple(SeenWord(word.text, word.start, word.end) for word in segment.words),
        tentative=tuple(segment.tentative.split()),
        final=segment.final,
        server_ms={name: figure for name in _FIGURES if (figure := getattr(latency, name)) is not None},
    )
