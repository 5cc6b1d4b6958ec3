"""MediaJSON, in which Jitsi's videobridge exports a meeting's audio to `/v1/jitsi`: one JSON event a text frame.

After jitsi/jicoco, MediaJson.kt, and jitsi/jitsi-videobridge, export/MediaJsonSerializer.kt. Most numbers are written
as strings, and some messages have `event` twice. What goes back ends in the browsers, where jitsi-meet reads it
(react/features/subtitles/middleware.ts).
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from captions.stream.captions import Id

__all__ = [
    "ClientEvent",
    "CustomParameters",
    "JitsiProtocolError",
    "Media",
    "MediaEvent",
    "MediaFormat",
    "Participant",
    "Ping",
    "SessionEnd",
    "Start",
    "StartEvent",
    "Stop",
    "StopEvent",
    "Transcript",
    "TranscriptionResult",
    "decode",
    "pong",
    "result",
]

STABLE, UNSTABLE = 0.95, 0.5
"""jitsi-meet puts what is above 0.85 into its stable text and anything else behind that."""


class JitsiProtocolError(Exception):
    """An event that cannot be read; the bridge reads no errors, so it is only counted."""


class MediaFormat(Struct, frozen=True, rename="camel"):
    encoding: str
    sample_rate: int = 48_000
    channels: int = 1


class CustomParameters(Struct, frozen=True, rename="camel"):
    endpoint_id: Id | None = None


class Start(Struct, frozen=True, rename="camel"):
    """The source `tag` of a participant, and how its audio is encoded."""

    tag: Id
    media_format: MediaFormat
    custom_parameters: CustomParameters | None = None


class Media(Struct, frozen=True, rename="camel"):
    """One packet: `chunk` is RTP's sequence number and `timestamp` RTP's, both never wrapped; level as in RFC 6464."""

    tag: Id
    chunk: int
    timestamp: int
    payload: bytes
    audio_level: Annotated[int, Meta(ge=0, le=127)] | None = None


class Stop(Struct, frozen=True):
    """The end of a source; with a timestamp only that of a stretch of speech."""

    tag: Id
    timestamp: int | None = None


class _Event(Struct, frozen=True, tag_field="event"):
    pass


class StartEvent(_Event, frozen=True, tag="start"):
    start: Start


class MediaEvent(_Event, frozen=True, tag="media"):
    media: Media


class StopEvent(_Event, frozen=True, tag="stop"):
    stop: Stop


class Ping(_Event, frozen=True, tag="ping"):
    id: int


class SessionEnd(_Event, frozen=True, tag="session-end"):
    """The meeting is over."""


class Participant(Struct, frozen=True):
    """`id` is the endpoint's, by which jitsi-meet finds the name; `tag` the source's."""

    id: str
    tag: str


class Transcript(Struct, frozen=True):
    text: str


class TranscriptionResult(_Event, frozen=True, tag="transcription-result"):
    """Text of the message `message_id`, whose last is no interim one. `timestamp`: milliseconds since 1970."""

    type: str
    message_id: str
    is_interim: bool
    stability: float
    language: str
    transcript: tuple[Transcript]
    participant: Participant
    timestamp: int


class _Pong(_Event, frozen=True, tag="pong"):
    id: int


class _AnyEvent(Struct, frozen=True):
    event: str


ClientEvent: TypeAlias = StartEvent | MediaEvent | StopEvent | Ping | SessionEnd

_decoder: msgspec.json.Decoder[ClientEvent] = msgspec.json.Decoder(ClientEvent, strict=False)
_known = {str(kind.__struct_config__.tag) for kind in (StartEvent, MediaEvent, StopEvent, Ping, SessionEnd)}


def decode(payload: str) -> ClientEvent | None:
    """One event; None for one of another kind (`info`, `sources`), which is no business of ours.

    Raises:
        JitsiProtocolError: it is none, or one of ours that cannot be.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        if isinstance(error, msgspec.ValidationError) and _is_another(payload):
            return None
        raise JitsiProtocolError(f"not an event of MediaJSON: {error}") from None


def pong(ping: Ping) -> str:
    """The answer to a ping, which the bridge waits 3 s for by default before it connects anew."""
    return msgspec.json.encode(_Pong(ping.id)).decode()


def result(
    message_id: str, text: str, participant: Participant, language: str, timestamp_ms: int, stability: float | None
) -> str:
    """A text that goes to every browser of the meeting: final where it has no `stability`."""
    message = TranscriptionResult(
        type="transcription-result",
        message_id=message_id,
        is_interim=stability is not None,
        stability=1.0 if stability is None else stability,
        language=language,
        transcript=(Transcript(text),),
        participant=participant,
        timestamp=timestamp_ms,
    )
    return msgspec.json.encode(message).decode()


def _is_another(payload: str) -> bool:
    try:
        return msgspec.json.decode(payload, type=_AnyEvent).event not in _known
    except (msgspec.DecodeError, RecursionError):
        return False
