"""What a client of Deepgram asks for in the address: understood, or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from captions.doors.names import NameProblem, query_as
from captions.stream.captions import Id, Label
from captions.stream.codec import Codec

__all__ = ["ListenQuery", "listen_query"]

_ABSENT = ("", "false", "0")
_REFUSED = (
    "alternatives",
    "callback",
    "detect_entities",
    "detect_language",
    "diarize",
    "dictation",
    "multichannel",
    "numerals",
    "profanity_filter",
    "redact",
    "replace",
    "search",
)
"""They would change the text or who is meant, and a client that asks for one counts on it."""


class ListenQuery(Struct, frozen=True):
    """The parameters that matter here. `room` is ours: without one the captions are private.

    Others of Deepgram's (`model`, `endpointing`, `keyterm`, `no_delay`, `tag`, ...) are taken and have no effect.
    """

    encoding: Literal["linear16", "opus"] = "opus"
    sample_rate: Annotated[int, Meta(ge=8_000, le=48_000)] = 48_000
    channels: Annotated[int, Meta(ge=1, le=2)] = 1
    language: Label = "en"
    interim_results: bool = False
    punctuate: bool = False
    smart_format: bool = False
    vad_events: bool = False
    utterance_end_ms: int | None = None
    room: Id | None = None

    @property
    def codec(self) -> Codec:
        """How the binary frames are encoded: a frame is a packet of Opus, or any whole number of samples."""
        return Codec("opus") if self.encoding == "opus" else Codec("pcm_s16le", self.sample_rate, self.channels)

    @property
    def is_punctuated(self) -> bool:
        return self.punctuate or self.smart_format


def listen_query(query: Mapping[str, str]) -> ListenQuery:
    """What the address asks for.

    Raises:
        NameProblem: a value that cannot be, or something that is not to be had here; the message names it.
    """
    for parameter in _REFUSED:
        if query.get(parameter, "").lower() not in _ABSENT:
            raise NameProblem(f"{parameter} is not to be had from this server")
    if "encoding" not in query:
        raise NameProblem("encoding is needed: linear16 with its sample_rate, or opus, one packet a frame")
    return query_as(ListenQuery, query)
