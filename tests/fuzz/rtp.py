"""Datagrams of anybody: an RTP packet whose parts lie within it, or an error; RTCP's goodbyes are sources in it."""

from __future__ import annotations

import struct

from captions.stream import rtp

__all__ = ["check", "seeds"]

_HEADER = struct.Struct("!BBHII")


def seeds() -> list[bytes]:
    plain = _HEADER.pack(0x80, 96, 1, 960, 7) + b"\x08\x01\x02"
    padded = _HEADER.pack(0xA0, 96, 2, 960, 7) + b"\x08\x01\x02\x03"
    one_byte = _HEADER.pack(0x90, 96, 3, 960, 7) + b"\xbe\xde\x00\x01\x10\x7f\x00\x00" + b"\x08\x01"
    two_bytes = _HEADER.pack(0x91, 96, 4, 960, 7) + bytes(4) + b"\x10\x00\x00\x01\x01\x01\x85\x00" + b"\x08\x01"
    goodbye = b"\x80\xc9\x00\x01\x00\x00\x00\x07\x81\xcb\x00\x01\x00\x00\x00\x07"
    return [bytes([1]) + datagram for datagram in (plain, padded, one_byte, two_bytes, goodbye)]


def check(data: bytes) -> None:
    """The first byte is the number of the extension that carries the level."""
    number, datagram = (data[0] & 15, data[1:]) if data else (0, b"")
    if rtp.is_rtcp(datagram):
        assert all(source.to_bytes(4) in datagram for source in rtp.goodbyes(datagram))
        return
    try:
        rtp.head_of(datagram)
        payload, level = rtp.audio_of(datagram, number or None)
    except rtp.RtpError:
        return
    assert payload in datagram[12:]
    assert level is None or 0 <= level <= 127
