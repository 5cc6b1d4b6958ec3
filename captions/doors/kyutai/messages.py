"""The protocol of Kyutai's Rust server on `/api/asr-streaming`: MessagePack maps tagged `type`.

After kyutai-labs/moshi, rust/moshi-server/src/asr.rs (InMsg, OutMsg). Strict clients raise on any other type, so
nothing else is ever sent. Audio comes as an array of 1,920 MessagePack floats: it is read as one strided array, without
a Python object a sample.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from captions.types import Pcm

__all__ = [
    "Audio",
    "ClientMessage",
    "EndWord",
    "Error",
    "Init",
    "KyutaiProtocolError",
    "Marker",
    "OggOpus",
    "Ready",
    "ServerMessage",
    "Step",
    "Word",
    "decode",
    "encode",
]


class KyutaiProtocolError(Exception):
    """A message that cannot be read; the text goes to the client in an `Error`."""


class _Message(Struct, frozen=True, tag_field="type"):
    pass


class Init(_Message, frozen=True):
    pass


class Marker(_Message, frozen=True):
    """From the client: say so when everything before this is transcribed. From the server: it is."""

    id: int


class OggOpus(_Message, frozen=True):
    """The next bytes of an Ogg Opus stream, cut anywhere."""

    data: bytes | list[int]


class _AudioList(_Message, frozen=True, tag="Audio"):
    pcm: list[float]


class Audio(Struct, frozen=True):
    """Mono at 24 kHz, any number of samples."""

    pcm: Pcm


class Ready(_Message, frozen=True):
    pass


class Word(_Message, frozen=True):
    text: str
    start_time: float


class EndWord(_Message, frozen=True):
    stop_time: float


class Step(_Message, frozen=True):
    """80 ms of audio went by; `prs` are the probabilities of a pause of 0.5, 1, 2 and 3 s.

    `buffered_pcm`: samples that have come and that no step has gone through yet.
    """

    step_idx: int
    prs: tuple[float, ...]
    buffered_pcm: int


class Error(_Message, frozen=True):
    message: str


ClientMessage: TypeAlias = Init | Audio | OggOpus | Marker
ServerMessage: TypeAlias = Ready | Word | EndWord | Step | Marker | Error

_AUDIO_PREFIX = b"\x82\xa4type\xa5Audio\xa3pcm"
_FLOATS = {
    0xCA: np.dtype([("tag", "u1"), ("sample", ">f4")]),
    0xCB: np.dtype([("tag", "u1"), ("sample", ">f8")]),
}
_decoder: msgspec.msgpack.Decoder[Init | _AudioList | OggOpus | Marker] = msgspec.msgpack.Decoder(
    Init | _AudioList | OggOpus | Marker
)
_encoder = msgspec.msgpack.Encoder()


def decode(data: bytes) -> ClientMessage:
    """One message of a client.

    Raises:
        KyutaiProtocolError: it is none.
    """
    pcm = _uniform_pcm(data)
    if pcm is None:
        try:
            message = _decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise KyutaiProtocolError(f"not a message of this protocol: {error}") from None
        if not isinstance(message, _AudioList):
            return message
        pcm = _as_float32(np.array(message.pcm, np.float64))
    if not np.isfinite(pcm).all():
        raise KyutaiProtocolError("the samples are not all finite numbers")
    return Audio(pcm)


def encode(message: ServerMessage) -> bytes:
    return _encoder.encode(message)


def _uniform_pcm(data: bytes) -> Pcm | None:
    """The samples of an `Audio` whose floats are all of one width, as every known client sends them; else None."""
    if not data.startswith(_AUDIO_PREFIX) or len(data) < len(_AUDIO_PREFIX) + 2:
        return None
    at = len(_AUDIO_PREFIX)
    kind = data[at]
    if kind & 0xF0 == 0x90:
        count, at = kind & 0x0F, at + 1
    elif kind == 0xDC:
        count, at = int.from_bytes(data[at + 1 : at + 3]), at + 3
    elif kind == 0xDD:
        count, at = int.from_bytes(data[at + 1 : at + 5]), at + 5
    else:
        return None
    layout = _FLOATS.get(data[at]) if at < len(data) else None
    if layout is None or len(data) != at + count * layout.itemsize:
        return None
    floats = np.frombuffer(data, layout, offset=at)
    tags: NDArray[np.uint8] = floats["tag"]
    if not (tags == data[at]).all():
        return None
    return _as_float32(floats["sample"])


def _as_float32(samples: NDArray[np.floating[Any]]) -> Pcm:
    """What is too large for it becomes infinite, and no number stays none, without a warning in the log."""
    with np.errstate(over="ignore", invalid="ignore"):
        return samples.astype(np.float32)
