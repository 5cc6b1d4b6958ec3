"""Gladia's live transcription, version 2, on `/v2/live`: a POST for an address, then audio and transcripts over it.

After its published reference (API and AsyncAPI) and its own client, gladiaio-sdk 2 (v2/live/generated_types).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlencode

import msgspec
from msgspec import Meta, Struct

from captions.doors.names import error_text, query_as
from captions.stream.captions import Id, Label, Segment
from captions.stream.codec import Codec

__all__ = [
    "Acknowledgement",
    "AudioChunk",
    "ClientMessage",
    "GladiaProtocolError",
    "LiveAnswer",
    "LiveQuery",
    "LiveRequest",
    "Message",
    "StopRecording",
    "Transcript",
    "Utterance",
    "Word",
    "decode",
    "decode_request",
    "encode",
    "live_query",
    "utterance_of",
]

_REFUSED = {
    "realtime_processing": ("custom_spelling", "named_entity_recognition", "sentiment_analysis", "translation"),
    "post_processing": ("chapterization", "summarization"),
}
"""They would change the text or add messages, and a client that asks for one waits for them."""

Obeyed: TypeAlias = Literal["audio_chunk", "stop_recording"]


class GladiaProtocolError(Exception):
    """What cannot be read or obeyed. `of`: the type of the message, where it is one that is acknowledged."""

    def __init__(self, message: str, of: Obeyed | None = None) -> None:
        super().__init__(message)
        self.of = of


class MessagesConfig(Struct, frozen=True):
    """Which messages the client is sent, by Gladia's names and with its defaults."""

    receive_partial_transcripts: bool = False
    receive_final_transcripts: bool = True
    receive_speech_events: bool = True
    receive_post_processing_events: bool = True
    receive_acknowledgments: bool = True
    receive_errors: bool = True
    receive_lifecycle_events: bool = False


class LiveQuery(MessagesConfig, frozen=True):
    """What the address of a session says of it. Audio is 16-bit PCM; two channels are heard as one.

    `language`: "" for whatever the model hears.
    """

    id: Id | None = None
    sample_rate: Annotated[int, Meta(ge=8_000, le=48_000)] = 16_000
    channels: Annotated[int, Meta(ge=1, le=2)] = 1
    language: Label = ""

    @property
    def codec(self) -> Codec:
        return Codec("pcm_s16le", self.sample_rate, self.channels)

    def parameters(self, more: Mapping[str, str]) -> str:
        """All of it as an address has it, and `more`."""
        mine = {name: str(value) for name, value in msgspec.to_builtins(self).items() if value is not None}
        return urlencode({**mine, **more})


class LanguageConfig(Struct, frozen=True):
    languages: tuple[Label, ...] | None = None


class LiveRequest(Struct, frozen=True):
    """The body of the POST, as far as it matters here. Gladia's other fields are taken and have no effect."""

    encoding: Literal["wav/pcm"] = "wav/pcm"
    bit_depth: Literal[16] = 16
    sample_rate: Annotated[int, Meta(ge=8_000, le=48_000)] = 16_000
    channels: Annotated[int, Meta(ge=1, le=2)] = 1
    language_config: LanguageConfig | None = None
    messages_config: MessagesConfig | None = None
    realtime_processing: dict[str, Any] | None = None
    post_processing: dict[str, Any] | None = None
    callback: bool | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        """Those that may be spoken; none if any may."""
        return (self.language_config.languages or ()) if self.language_config is not None else ()

    def query(self, session_id: str, language: str) -> LiveQuery:
        """The session that is asked for, in the one of its languages that is heard here."""
        asked = msgspec.to_builtins(self.messages_config or MessagesConfig())
        return LiveQuery(
            id=session_id, sample_rate=self.sample_rate, channels=self.channels, language=language, **asked
        )


class LiveAnswer(Struct, frozen=True):
    """`url` is where the audio goes. `created_at`: ISO 8601."""

    id: str
    created_at: str
    url: str


class Chunk(Struct, frozen=True):
    chunk: bytes


class AudioChunk(Struct, frozen=True, tag_field="type", tag="audio_chunk"):
    """Audio in base64; it may come as it is in a binary frame, too."""

    data: Chunk


class StopRecording(Struct, frozen=True, tag_field="type", tag="stop_recording"):
    """No more audio comes: say what is left, and close."""


class Word(Struct, frozen=True):
    word: str
    start: float
    end: float
    confidence: float = 1.0


class Utterance(Struct, frozen=True):
    """Times are in seconds from the session's first audio. Of what is committed the confidence is 1."""

    text: str
    start: float
    end: float
    language: str
    words: list[Word]
    confidence: float = 1.0
    channel: int = 0


class Transcript(Struct, frozen=True):
    """What of an utterance is known by now, or all of it. By `id` those of one utterance are known."""

    id: str
    is_final: bool
    utterance: Utterance


class Message(Struct, frozen=True, omit_defaults=True):
    """A message to the client; what `data` has in it depends on the `type`."""

    type: str
    session_id: str
    created_at: str
    data: Transcript | dict[str, Any] | None = None


class Acknowledgement(Struct, frozen=True):
    """`error` says why a message was not obeyed; `data` is None then."""

    type: Obeyed
    session_id: str
    created_at: str
    acknowledged: bool
    error: dict[str, str] | None
    data: dict[str, Any] | None


class _Typed(Struct, frozen=True):
    type: Obeyed


ClientMessage: TypeAlias = AudioChunk | StopRecording

_messages: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_requests = msgspec.json.Decoder(LiveRequest)
_typed = msgspec.json.Decoder(_Typed)


def decode_request(body: bytes) -> LiveRequest:
    """The body of a request for a session.

    Raises:
        GladiaProtocolError: it is none, or asks for what is not to be had; the message names it.
    """
    try:
        request = _requests.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GladiaProtocolError(error_text(error)) from None
    for section, names in _REFUSED.items():
        for name in names:
            if (getattr(request, section) or {}).get(name):
                raise GladiaProtocolError(f"{section}.{name} is not to be had from this server")
    if request.callback:
        raise GladiaProtocolError("callback is not to be had from this server")
    return request


def live_query(query: Mapping[str, str]) -> LiveQuery:
    """What an address says.

    Raises:
        NameProblem: it has a value that cannot be.
    """
    return query_as(LiveQuery, query)


def decode(payload: str) -> ClientMessage:
    """A text frame of a client.

    Raises:
        GladiaProtocolError: it is none that can be obeyed.
    """
    try:
        return _messages.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise GladiaProtocolError(error_text(error), _type_of(payload)) from None


def encode(message: Message | Acknowledgement | LiveAnswer) -> str:
    return msgspec.json.encode(message).decode()


def utterance_of(segment: Segment, language: str) -> Utterance:
    """A segment in Gladia's words: what may still change is in the text, and not yet among the words."""
    words = [Word(word.text, word.start, word.end) for word in segment.words]
    text = f"{segment.text} {segment.tentative or ''}".strip()
    return Utterance(text, segment.start, segment.end, language, words)


def _type_of(payload: str) -> Obeyed | None:
    try:
        return _typed.decode(payload).type
    except (msgspec.DecodeError, RecursionError):
        return None
