"""The native protocol `captions.v1` on `/v1/stream`: bytes to messages and messages to bytes.

MessagePack in binary frames, or JSON in text frames with raw audio in binary frames for a connection with one track.
Every message is a map with a `type`. Fields nobody knows are ignored; all else that is wrong is a `ProtocolError`
with a code of `ErrorCode`. Documented in docs/protocol.md.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from captions.doors.names import error_text
from captions.doors.native.packets import (
    MOST_PACKETS,
    Encoding,
    Level,
    Seq,
    SpoiltPackets,
    Timestamp,
    TrackPacket,
    read_each,
)
from captions.stream.captions import (
    Caption,
    CaptionWord,
    GapNotice,
    Id,
    Label,
    Latency,
    Missed,
    Participant,
    Segment,
    SpeechNotice,
    Uncaptioned,
)
from captions.stream.codec import CodecName

__all__ = [
    "MOST_PACKETS",
    "SUBPROTOCOL",
    "Audio",
    "Caption",
    "CaptionWord",
    "ClientMessage",
    "CodecName",
    "Draining",
    "Encoding",
    "Error",
    "ErrorCode",
    "FlushRequest",
    "Flushed",
    "GapNotice",
    "Heartbeat",
    "Latency",
    "Limits",
    "Missed",
    "Mute",
    "OtherNodes",
    "Packets",
    "Participant",
    "Ping",
    "Pong",
    "ProtocolError",
    "Ready",
    "Resume",
    "Segment",
    "ServerMessage",
    "SpeechNotice",
    "SpoiltPackets",
    "Start",
    "Started",
    "Stop",
    "Stopped",
    "TrackPacket",
    "Uncaptioned",
    "Unmute",
    "Watching",
    "decode_client",
    "decode_server",
    "encode",
]

SUBPROTOCOL = "captions.v1"

ErrorCode: TypeAlias = Literal[
    "bad_message",
    "unknown_type",
    "unknown_track",
    "track_exists",
    "unsupported_audio",
    "bad_audio",
    "too_many_tracks",
    "overloaded",
    "model_failed",
    "not_resumable",
    "forbidden",
    "draining",
]


class ProtocolError(Exception):
    """A message that cannot be read or obeyed; `code`, the text and the track at fault, if any, go to the sender."""

    def __init__(self, code: ErrorCode, message: str, track: str | None = None) -> None:
        super().__init__(error_text(message))
        self.code: ErrorCode = code
        self.track = track


class _Message(Struct, frozen=True, tag_field="type", tag=str.lower, omit_defaults=True):
    """A message of either side; its tag is the class name in lower case unless given."""


class Start(_Message, frozen=True):
    """Begin a track.

    `sample_rate` is that of PCM; Opus has its RTP clock there, always 48,000 (RFC 7587). `live` false asks for nothing
    to be dropped: while the track has its fill of pending audio, the server stops reading the connection.
    """

    room: Id
    track: Id
    codec: CodecName
    participant: Participant | None = None
    sample_rate: Annotated[int, Meta(ge=8_000, le=48_000)] = 48_000
    channels: Annotated[int, Meta(ge=1, le=2)] = 1
    language: Label | None = None
    live: bool = True


class Audio(_Message, frozen=True):
    """Audio of a track: one Opus packet, or any whole number of PCM samples.

    `seq` and `timestamp` are those of RTP; `captured_at` is the sender's clock in seconds when the first sample was
    captured; `level` is its loudness in -dBov (RFC 6464), by which silence need not be decoded.
    """

    track: Id
    data: bytes
    seq: Seq | None = None
    timestamp: Timestamp | None = None
    captured_at: float | None = None
    level: Level | None = None


class Packets(_Message, frozen=True):
    """Packets of any tracks of the connection, in the order in which they came."""

    packets: Annotated[list[TrackPacket], Meta(max_length=MOST_PACKETS)]


class Mute(_Message, frozen=True):
    track: Id


class Unmute(_Message, frozen=True):
    track: Id


class FlushRequest(_Message, frozen=True, tag="flush"):
    track: Id
    id: Id


class Stop(_Message, frozen=True):
    """End a track. `at`: words that begin there or later, in seconds on its clock, are another node's to say."""

    track: Id
    at: Annotated[float, Meta(ge=0, le=1e9)] | None = None


class Ping(_Message, frozen=True):
    id: Id
    sent_at: float | None = None


class Resume(_Message, frozen=True):
    """Instead of anything else, first on a new connection: go on with a session whose connection was lost.

    `received` is how many messages of the session the client has had; those behind them are sent again.
    """

    session: Id
    secret: Id
    received: Annotated[int, Meta(ge=0)]


ClientMessage: TypeAlias = Start | Audio | Packets | Mute | Unmute | FlushRequest | Stop | Ping | Resume


class Limits(Struct, frozen=True):
    message_bytes: int
    tracks: int
    pending_audio_s: float
    resume_s: float
    packets: int = 0


class Ready(_Message, frozen=True):
    """`nodes`: others that would take the tracks if this one were lost, the emptiest first."""

    session: str
    secret: str
    protocol: str
    model: str
    languages: list[str]
    delay_ms: int
    limits: Limits
    nodes: list[str] = []


class OtherNodes(_Message, frozen=True, tag="nodes"):
    """What `Ready` said of them is no longer so: others that would take the tracks if this one were lost."""

    nodes: list[str]


class Draining(_Message, frozen=True):
    """The node stops: tracks still open after `deadline_s` seconds are ended. `node`: another one that takes them."""

    deadline_s: Annotated[float, Meta(ge=0, le=1e9)]
    node: str | None = None


class Started(_Message, frozen=True):
    """`handle` names the track in `Packets`; 0 from a server that knows no such message."""

    track: str
    handle: int = 0


class Flushed(_Message, frozen=True):
    track: str
    id: str


class Pong(_Message, frozen=True):
    id: str
    received_at: float
    sent_at: float | None = None


class Stopped(_Message, frozen=True):
    track: str


class Error(_Message, frozen=True):
    """`node`: another one that would take the track, with `overloaded` and `draining` where there are several."""

    code: ErrorCode
    message: str
    fatal: bool
    track: str | None = None
    node: str | None = None


class Watching(_Message, frozen=True):
    """To a watcher, first: what may be heard in the room. A `Heartbeat` comes at least every `heartbeat_s` seconds."""

    room: str
    languages: list[str]
    heartbeat_s: float


class Heartbeat(_Message, frozen=True):
    """To a watcher, behind the room's history and then again and again: the server is there.

    `sent_at`: seconds since 1970 by the clock of `Segment.said_at`.
    """

    sent_at: float


ServerMessage: TypeAlias = (
    Ready
    | Started
    | Segment
    | SpeechNotice
    | Flushed
    | GapNotice
    | Pong
    | Stopped
    | Error
    | OtherNodes
    | Draining
    | Watching
    | Uncaptioned
    | Missed
    | Heartbeat
)


class _TrackOnly(Struct):
    """The track that an invalid message speaks of, so that the error reaches who is at fault."""

    track: object = None

    @property
    def named(self) -> str | None:
        return self.track if isinstance(self.track, str) and len(self.track) <= 128 else None


_msgpack_client: msgspec.msgpack.Decoder[ClientMessage] = msgspec.msgpack.Decoder(ClientMessage)
_json_client: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_msgpack_server: msgspec.msgpack.Decoder[ServerMessage] = msgspec.msgpack.Decoder(ServerMessage)
_json_server: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_msgpack_track = msgspec.msgpack.Decoder(_TrackOnly)
_json_track = msgspec.json.Decoder(_TrackOnly)
_msgpack_encoder = msgspec.msgpack.Encoder()
_json_encoder = msgspec.json.Encoder()


def decode_client(data: bytes, encoding: Encoding) -> ClientMessage | SpoiltPackets:
    """One message of a client. A packet that cannot be read spoils none of the others in its message.

    Raises:
        ProtocolError: `unknown_type` for a type the protocol does not have, `unsupported_audio` for a codec, rate or
            channel count it cannot take, else `bad_message`.
    """
    try:
        try:
            return _msgpack_client.decode(data) if encoding == "msgpack" else _json_client.decode(data)
        except msgspec.ValidationError as error:
            where = str(error).rpartition("`$.")[2].rstrip("`")
            if where.startswith("packets["):
                return read_each(data, encoding)
            track = _msgpack_track if encoding == "msgpack" else _json_track
            raise ProtocolError(_code_at(where), str(error), track.decode(data).named) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = "MessagePack" if encoding == "msgpack" else "JSON"
        raise ProtocolError("bad_message", f"not a {what} message: {error}") from None


def _code_at(where: str) -> ErrorCode:
    """What is wrong with a message, by the path of the field that is."""
    if where == "type":
        return "unknown_type"
    return "unsupported_audio" if where in ("codec", "sample_rate", "channels") else "bad_message"


def decode_server(data: bytes | str) -> ServerMessage:
    """One message of a server, in whichever encoding: for clients.

    Raises:
        ProtocolError: `unknown_type` for a type the protocol does not have, else `bad_message`.
    """
    try:
        return _json_server.decode(data) if isinstance(data, str) else _msgpack_server.decode(data)
    except msgspec.ValidationError as error:
        code: ErrorCode = "unknown_type" if str(error).endswith("`$.type`") else "bad_message"
        raise ProtocolError(code, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError("bad_message", str(error)) from None


def encode(message: ClientMessage | ServerMessage, encoding: Encoding) -> bytes | str:
    """A message as the payload of a frame: `bytes` for a binary one, `str` for a text one."""
    if encoding == "msgpack":
        return _msgpack_encoder.encode(message)
    return _json_encoder.encode(message).decode()
