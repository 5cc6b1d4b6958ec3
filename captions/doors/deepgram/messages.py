"""Deepgram's live transcription on `/v1/listen`: audio in binary frames, commands and results in JSON.

After its published reference and its own client, deepgram-sdk 7 (listen/v1/types).
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from captions.stream.captions import CaptionWord

__all__ = [
    "Alternative",
    "Channel",
    "CloseStream",
    "Command",
    "DeepgramProtocolError",
    "Error",
    "Finalize",
    "KeepAlive",
    "Metadata",
    "ModelInfo",
    "Results",
    "ResultsMetadata",
    "ServerMessage",
    "SpeechStarted",
    "UtteranceEnd",
    "Word",
    "alternative",
    "decode",
    "encode",
]


class DeepgramProtocolError(Exception):
    """A text frame that is no command; the text goes to the client in an `Error`."""


class _Message(Struct, frozen=True, tag_field="type"):
    pass


class KeepAlive(_Message, frozen=True):
    """There is no audio just now; a silent socket stays open here anyway."""


class Finalize(_Message, frozen=True):
    """Say what was heard so far, and mark it `from_finalize`."""


class CloseStream(_Message, frozen=True):
    """No more audio comes: say what is left, then `Metadata`, and close."""


class Word(Struct, frozen=True):
    word: str
    start: float
    end: float
    confidence: float
    punctuated_word: str


class Alternative(Struct, frozen=True):
    transcript: str
    confidence: float
    words: list[Word]


class Channel(Struct, frozen=True):
    alternatives: Annotated[list[Alternative], Meta(min_length=1, max_length=1)]


class ModelInfo(Struct, frozen=True):
    name: str
    version: str
    arch: str


class ResultsMetadata(Struct, frozen=True):
    request_id: str
    model_info: ModelInfo
    model_uuid: str


class Results(_Message, frozen=True):
    """Words from `start` for `duration` seconds. Those of an interim result come again; those of a final one do not.

    `speech_final`: the speaker has paused. `from_finalize`: a `Finalize` is done with.
    """

    start: float
    duration: float
    is_final: bool
    speech_final: bool
    from_finalize: bool
    channel: Channel
    metadata: ResultsMetadata
    channel_index: tuple[int, int] = (0, 1)


class SpeechStarted(_Message, frozen=True):
    timestamp: float
    channel: tuple[int, int] = (0, 1)


class UtteranceEnd(_Message, frozen=True):
    last_word_end: float
    channel: tuple[int, int] = (0, 1)


class Metadata(_Message, frozen=True):
    """The last message of a stream; `duration` is of its audio, in seconds. `created`: ISO 8601."""

    request_id: str
    created: str
    duration: float
    channels: int
    transaction_key: str = "deprecated"
    sha256: str = ""


class Error(_Message, frozen=True):
    description: str
    message: str
    variant: str


Command: TypeAlias = KeepAlive | Finalize | CloseStream
ServerMessage: TypeAlias = Results | SpeechStarted | UtteranceEnd | Metadata | Error

_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)


def decode(payload: str) -> Command:
    """A text frame of a client.

    Raises:
        DeepgramProtocolError: it is no command.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DeepgramProtocolError(f"not a command: {error}") from None


def encode(message: ServerMessage) -> str:
    return msgspec.json.encode(message).decode()


def alternative(words: list[CaptionWord], tentative: str, *, punctuated: bool) -> Alternative:
    """Committed words with their times, then text that may change; as spoken, or without case and punctuation.

    The confidence of what is committed is 1, and models here tell no other.
    """
    told = [Word(_plain(word.text), word.start, word.end, 1.0, word.text) for word in words]
    text = [word.punctuated_word if punctuated else word.word for word in told]
    if tentative:
        text.append(tentative if punctuated else " ".join(map(_plain, tentative.split())))
    return Alternative(" ".join(filter(None, text)), 1.0 if text else 0.0, told)


def _plain(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum() or letter in "'’-")
