"""OpenAI's realtime transcription on `/v1/realtime`: events in JSON, audio in base64, mono 16-bit PCM at 24 kHz.

After its published reference and its own client, openai 3 (types/realtime).
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

__all__ = [
    "SUBPROTOCOL",
    "Append",
    "Clear",
    "Cleared",
    "ClientEvent",
    "Commit",
    "Committed",
    "Completed",
    "Delta",
    "Error",
    "OpenAIProtocolError",
    "ServerEvent",
    "SessionCreated",
    "SessionUpdate",
    "SessionUpdated",
    "SpeechStarted",
    "SpeechStopped",
    "decode",
    "encode",
    "session_object",
]

SUBPROTOCOL = "realtime"
_RATE = 24_000


class OpenAIProtocolError(Exception):
    """An event that cannot be read or obeyed.

    `code` is one that clients branch on; `event_id` is the client's, if it gave one.
    """

    def __init__(self, code: str, message: str, param: str | None = None, event_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.event_id = event_id


class Format(Struct, frozen=True):
    type: str = "audio/pcm"
    rate: int = _RATE


class Transcription(Struct, frozen=True):
    model: str | None = None
    language: str | None = None
    languages: list[str] | None = None


class Input(Struct, frozen=True):
    """`turn_detection` null leaves it to the client to say where a turn ends."""

    format: Format | None = None
    transcription: Transcription | None = None
    turn_detection: dict[str, Any] | UnsetType | None = UNSET


class Audio(Struct, frozen=True):
    input: Input = Input()


class Session(Struct, frozen=True):
    type: Literal["transcription"]
    audio: Audio = Audio()


class _ClientEvent(Struct, frozen=True, tag_field="type"):
    event_id: str | None = None


class SessionUpdate(_ClientEvent, frozen=True, tag="session.update", kw_only=True):
    session: Session


class Append(_ClientEvent, frozen=True, tag="input_audio_buffer.append", kw_only=True):
    audio: bytes


class Commit(_ClientEvent, frozen=True, tag="input_audio_buffer.commit"):
    """The turn ends here."""


class Clear(_ClientEvent, frozen=True, tag="input_audio_buffer.clear"):
    """What was heard and not said yet is not to be said."""


class _ServerEvent(Struct, frozen=True, tag_field="type"):
    event_id: str


class SessionCreated(_ServerEvent, frozen=True, tag="session.created"):
    session: dict[str, Any]


class SessionUpdated(_ServerEvent, frozen=True, tag="session.updated"):
    session: dict[str, Any]


class SpeechStarted(_ServerEvent, frozen=True, tag="input_audio_buffer.speech_started"):
    audio_start_ms: int
    item_id: str


class SpeechStopped(_ServerEvent, frozen=True, tag="input_audio_buffer.speech_stopped"):
    audio_end_ms: int
    item_id: str


class Committed(_ServerEvent, frozen=True, tag="input_audio_buffer.committed"):
    item_id: str
    previous_item_id: str | None


class Cleared(_ServerEvent, frozen=True, tag="input_audio_buffer.cleared"):
    pass


class Delta(_ServerEvent, frozen=True, tag="conversation.item.input_audio_transcription.delta"):
    """The next words of an item, which are appended and never change."""

    item_id: str
    delta: str
    content_index: int = 0


class _Duration(Struct, frozen=True, tag_field="type", tag="duration"):
    seconds: float


class Completed(_ServerEvent, frozen=True, tag="conversation.item.input_audio_transcription.completed"):
    item_id: str
    transcript: str
    usage: _Duration
    content_index: int = 0

    @classmethod
    def of(cls, event_id: str, item_id: str, transcript: str, seconds: float) -> Completed:
        return cls(event_id, item_id, transcript, _Duration(seconds))


class _ErrorBody(Struct, frozen=True):
    type: str
    code: str
    message: str
    param: str | None
    event_id: str | None


class Error(_ServerEvent, frozen=True, tag="error"):
    error: _ErrorBody

    @classmethod
    def of(cls, event_id: str, error: OpenAIProtocolError, message: str) -> Error:
        """What is wrong with an event of the client; the session stays open."""
        return cls(event_id, _ErrorBody("invalid_request_error", error.code, message, error.param, error.event_id))


ClientEvent: TypeAlias = SessionUpdate | Append | Commit | Clear
ServerEvent: TypeAlias = (
    SessionCreated | SessionUpdated | SpeechStarted | SpeechStopped | Committed | Cleared | Delta | Completed | Error
)

_decoder: msgspec.json.Decoder[ClientEvent] = msgspec.json.Decoder(ClientEvent)


class _EventId(Struct, frozen=True):
    event_id: object = None


def decode(payload: bytes | str) -> ClientEvent:
    """One event of a client.

    Raises:
        OpenAIProtocolError: `invalid_json`; `invalid_value` with the field as `param` for what cannot be.
    """
    try:
        event = _decoder.decode(payload)
    except msgspec.ValidationError as error:
        where = str(error).partition("`$.")[2].rstrip("`")
        raise OpenAIProtocolError("invalid_value", str(error), where or None, _event_id_in(payload)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OpenAIProtocolError("invalid_json", f"not JSON: {error}") from None
    if isinstance(event, SessionUpdate):
        _check(event)
    return event


def encode(event: ServerEvent) -> str:
    return msgspec.json.encode(event).decode()


def session_object(session_id: str, model: str, languages: list[str], *, detects_turns: bool) -> dict[str, Any]:
    """The session as the server has it."""
    detection = {"type": "server_vad", "create_response": False} if detects_turns else None
    transcription = {"model": model, "language": languages[0] if languages else None}
    audio = {
        "format": {"type": "audio/pcm", "rate": _RATE},
        "transcription": transcription,
        "turn_detection": detection,
        "noise_reduction": None,
    }
    return {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": session_id,
        "audio": {"input": audio},
        "include": [],
    }


def _event_id_in(payload: bytes | str) -> str | None:
    """The client's own id of an event that cannot be read, if it has one."""
    with suppress(msgspec.DecodeError, RecursionError):
        event_id = msgspec.json.decode(payload, type=_EventId).event_id
        return event_id if isinstance(event_id, str) else None
    return None


def _check(update: SessionUpdate) -> None:
    """Refuse what would be heard as something else than it is."""
    wanted = update.session.audio.input.format
    if wanted is not None and wanted != Format():
        raise OpenAIProtocolError(
            "invalid_value",
            f"{wanted.type} at {wanted.rate}: audio/pcm at {_RATE} is known",
            "session.audio.input.format",
            update.event_id,
        )
