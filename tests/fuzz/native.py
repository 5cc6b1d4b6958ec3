"""Messages of the native protocol, in both encodings: read or refused with a named error, and read back as written."""

from __future__ import annotations

import msgspec

from captions.doors.names import MOST_ERROR_CHARACTERS
from captions.doors.native import messages as native

__all__ = ["check", "seeds"]

_ENCODINGS: tuple[native.Encoding, ...] = ("json", "msgpack")
_MESSAGES: tuple[native.ClientMessage, ...] = (
    native.Start("r", "t", "opus", native.Participant("p", "Zoé"), 48_000, 1, "fr", live=False),
    native.Audio("t", b"\xf8\xff\xfe", 65_535, 4_294_967_295, 1.5, 127),
    native.Packets(
        [native.TrackPacket(1, b"\xf8\xff\xfe", 65_535, 4_294_967_295, 127, 1.5), native.TrackPacket(2, b"")]
    ),
    native.Mute("t"),
    native.Unmute("t"),
    native.FlushRequest("t", "f"),
    native.Stop("t"),
    native.Ping("p", 1e308),
    native.Resume("s", "secret", 3),
)


def seeds() -> list[bytes]:
    packed = [b"m" + msgspec.msgpack.encode(message) for message in _MESSAGES]
    return packed + [b"j" + msgspec.json.encode(message) for message in _MESSAGES]


def check(data: bytes) -> None:
    """The first byte chooses the encoding."""
    encoding: native.Encoding = "json" if data[:1] == b"j" else "msgpack"
    try:
        message = native.decode_client(data[1:], encoding)
    except native.ProtocolError as error:
        _check_error(native.Error(error.code, str(error), fatal=False, track=error.track))
        return
    if isinstance(message, native.SpoiltPackets):
        assert message.spoilt
        for _, why in message.spoilt:
            _check_error(native.Error("bad_message", str(native.ProtocolError("bad_message", why)), fatal=False))
        message = native.Packets(message.sound)
    written = native.encode(message, encoding)
    again = native.decode_client(written.encode() if isinstance(written, str) else written, encoding)
    assert not isinstance(again, native.SpoiltPackets)
    assert native.encode(again, encoding) == written


def _check_error(told: native.Error) -> None:
    assert len(told.message) <= MOST_ERROR_CHARACTERS
    for encoding in _ENCODINGS:
        assert native.decode_server(native.encode(told, encoding)) == told
