"""The protocol of Vosk's WebSocket server on `/v1/vosk`: settings in JSON, 16-bit PCM, a JSON reply for each of audio.

After alphacep/vosk-server, websocket/asr_server.py. Its clients (Nextcloud Talk's live_transcription, BigBlueButton's
transcription controller, Jigasi) send, then read one reply, then send again: whoever answers twice is never caught up
with, and whoever does not answer stops them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from captions.stream.captions import CaptionWord, Segment

__all__ = [
    "Control",
    "EndOfFile",
    "Reset",
    "Settings",
    "VoskProtocolError",
    "changed",
    "decode_control",
    "partial",
    "result",
]


class VoskProtocolError(Exception):
    """A text message that cannot be read; the protocol has no error message, so it goes into the close reason."""


class Settings(Struct, frozen=True):
    """What the client says before its audio; what of it is left out stays as it is. `words`: whether to tell times.

    Vosk takes a model, a list of phrases and a number of alternatives too; here they have no meaning.
    """

    sample_rate: Annotated[float, Meta(ge=8_000, le=48_000)] | None = None
    words: bool | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class EndOfFile:
    """No more audio comes: answer with what is left, and close."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Answer with what is left, and begin anew."""


Control: TypeAlias = Settings | EndOfFile | Reset
"""A text message of the client."""


class _Text(Struct, frozen=True):
    config: Settings | None = None
    eof: bool = False
    reset: bool = False


class _Word(Struct, frozen=True):
    conf: float
    end: float
    start: float
    word: str


class _Partial(Struct, frozen=True):
    partial: str


class _Result(Struct, frozen=True, omit_defaults=True):
    text: str
    result: list[_Word] = []


def decode_control(payload: str) -> Control:
    """A text message of a client, whichever way its JSON is spelt.

    Raises:
        VoskProtocolError: it is none.
    """
    try:
        text = msgspec.convert(msgspec.json.decode(payload), _Text, strict=False)
    except (msgspec.DecodeError, RecursionError) as error:
        raise VoskProtocolError(f"not a message of this protocol: {error}") from None
    if text.config is not None:
        return text.config
    if text.eof:
        return EndOfFile()
    if text.reset:
        return Reset()
    raise VoskProtocolError("a text message has config, eof or reset")


def changed(success: bool) -> str:
    """Whether another language is heard from here on: Nextcloud's client, which asks in mid-speech, waits for it.

    vosk-server knows no languages and answers no settings. Before any audio nobody waits for an answer, so that one
    would be a reply too many (nextcloud/live_transcription, ex_app/lib/transcriber.py).
    """
    return msgspec.json.encode({"success": success}).decode()


def partial(text: str) -> str:
    """What is under way; it may change."""
    return msgspec.json.encode(_Partial(text)).decode()


def result(segments: Sequence[Segment], *, words: bool) -> str:
    """What is final, of one segment or of several at once; without any, an empty text.

    The confidence of each word is 1: the words given are committed, and the models here tell no other.
    """
    told = [_told(word) for segment in segments for word in segment.words] if words else []
    return msgspec.json.encode(_Result(" ".join(segment.text for segment in segments), told)).decode()


def _told(word: CaptionWord) -> _Word:
    return _Word(conf=1.0, end=word.end, start=word.start, word=word.text)
