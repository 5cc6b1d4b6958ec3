"""RTP packets (RFC 3550): whose they are, what they carry, and the audio level in their header (RFC 8285, RFC 6464)."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["RtpError", "RtpPacket", "goodbyes", "is_rtcp", "read", "ssrc_of"]

_FIXED_BYTES = 12
_PADDING, _EXTENSION = 0x20, 0x10
_ONE_BYTE_PROFILE, _TWO_BYTE_PROFILE = 0xBEDE, 0x1000
_BYE = 203


class RtpError(Exception):
    """A datagram that is no RTP packet."""


class RtpPacket(Struct, frozen=True, gc=False):
    """`level` is in -dBov, 0 to 127, where the header has it."""

    payload_type: int
    seq: int
    timestamp: int
    level: int | None
    payload: bytes


def is_rtcp(datagram: bytes) -> bool:
    """Whether a datagram on a port that carries both is of RTCP (RFC 5761, 4)."""
    return len(datagram) >= 2 and 192 <= datagram[1] <= 223


def ssrc_of(datagram: bytes) -> int:
    """The source of an RTP packet, so that those of strangers need not be read.

    Raises:
        RtpError: it is none.
    """
    if len(datagram) < _FIXED_BYTES or datagram[0] >> 6 != 2:
        raise RtpError("no RTP packet")
    return int.from_bytes(datagram[8:12])


def read(datagram: bytes, level_extension: int | None) -> RtpPacket:
    """A packet that has a source; `level_extension` is the id under which its header carries the audio level.

    Raises:
        RtpError: its lengths do not add up.
    """
    first = datagram[0]
    start = _FIXED_BYTES + 4 * (first & 0x0F)
    end = len(datagram)
    level = None
    if first & _EXTENSION:
        words_at = start + 4
        length = 4 * int.from_bytes(datagram[start + 2 : words_at])
        if level_extension is not None:
            profile = int.from_bytes(datagram[start : start + 2])
            level = _level_in(datagram[words_at : words_at + length], profile, level_extension)
        start = words_at + length
    if first & _PADDING:
        end -= datagram[-1]
    if start > end:
        raise RtpError("an RTP packet shorter than its header says")
    return RtpPacket(
        datagram[1] & 0x7F, int.from_bytes(datagram[2:4]), int.from_bytes(datagram[4:8]), level, datagram[start:end]
    )


def goodbyes(datagram: bytes) -> list[int]:
    """The sources that say BYE in a compound RTCP packet (RFC 3550, 6.6); of a malformed one those that can be read."""
    gone: list[int] = []
    at = 0
    while at + 4 <= len(datagram) and datagram[at] >> 6 == 2:
        end = at + 4 + 4 * int.from_bytes(datagram[at + 2 : at + 4])
        if datagram[at + 1] == _BYE:
            sources = datagram[at + 4 : min(end, at + 4 + 4 * (datagram[at] & 0x1F))]
            gone += [int.from_bytes(sources[i : i + 4]) for i in range(0, len(sources) - 3, 4)]
        at = end
    return gone


def _level_in(elements: bytes, profile: int, wanted: int) -> int | None:
    """The audio level among header extensions with one-byte or two-byte headers."""
    is_short = profile == _ONE_BYTE_PROFILE
    if not is_short and profile & 0xFFF0 != _TWO_BYTE_PROFILE:
        return None
    at = 0
    while at + 1 < len(elements):
        if not elements[at]:
            at += 1
            continue
        if is_short:
            number, length, value_at = elements[at] >> 4, (elements[at] & 0x0F) + 1, at + 1
        else:
            number, length, value_at = elements[at], elements[at + 1], at + 2
        if number == wanted and length and value_at < len(elements):
            return elements[value_at] & 0x7F
        at = value_at + length
    return None
