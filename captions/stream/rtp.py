"""RTP packets (RFC 3550): whose they are, what they carry, and the audio level in their header (RFC 8285, RFC 6464)."""

from __future__ import annotations

from struct import Struct
from typing import TypeAlias

__all__ = ["Head", "RtpError", "audio_of", "goodbyes", "head_of", "is_rtcp", "reporter_of"]

Head: TypeAlias = tuple[int, int, int, int, int]
"""The fixed header (RFC 3550, 5.1): its first two bytes, the sequence number, the timestamp, the source."""

_head: Struct = Struct("!BBHII")
_extension: Struct = Struct("!HH")
_VERSION = 2
_PADDING, _EXTENSION = 0x20, 0x10
_ONE_BYTE_PROFILE, _TWO_BYTE_PROFILE = 0xBEDE, 0x1000
_BYE = 203
_TOO_SHORT = "an RTP packet shorter than its header says"


class RtpError(Exception):
    """A datagram that is no RTP packet."""


def is_rtcp(datagram: bytes) -> bool:
    """Whether a datagram on a port that carries both is of RTCP (RFC 5761, 4)."""
    return len(datagram) >= 2 and 192 <= datagram[1] <= 223


def head_of(datagram: bytes) -> Head:
    """The fixed header, by whose source it is known whether the rest need be read.

    Raises:
        RtpError: it is no RTP packet.
    """
    if len(datagram) < _head.size or datagram[0] >> 6 != _VERSION:
        raise RtpError("no RTP packet")
    return _head.unpack_from(datagram)


def audio_of(datagram: bytes, level_extension: int | None) -> tuple[bytes, int | None]:
    """The payload of a packet that has a head, and its level in -dBov, 0 to 127, where the header carries it.

    `level_extension` is the id under which it does.

    Raises:
        RtpError: its lengths do not add up.
    """
    first = datagram[0]
    start = _head.size + 4 * (first & 0x0F)
    end = len(datagram)
    level = None
    if first & _EXTENSION:
        if start + _extension.size > end:
            raise RtpError(_TOO_SHORT)
        profile, words = _extension.unpack_from(datagram, start)
        start += _extension.size
        elements_at, start = start, start + 4 * words
        if level_extension is not None and start <= end:
            level = _level_in(datagram, elements_at, start, profile, level_extension)
    if first & _PADDING:
        end -= datagram[-1]
    if start > end:
        raise RtpError(_TOO_SHORT)
    return datagram[start:end], level


def reporter_of(datagram: bytes) -> int:
    """The source that an RTCP packet is of, be it encrypted or not; 0 for one that is too short to have any."""
    return int.from_bytes(datagram[4:8])


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


def _level_in(datagram: bytes, at: int, end: int, profile: int, wanted: int) -> int | None:
    """The audio level among header extensions with one-byte or two-byte headers, which are from `at` to `end`."""
    is_short = profile == _ONE_BYTE_PROFILE
    if not is_short and profile & 0xFFF0 != _TWO_BYTE_PROFILE:
        return None
    while at + 1 < end:
        head = datagram[at]
        if not head:
            at += 1
            continue
        if is_short:
            number, length, value_at = head >> 4, (head & 0x0F) + 1, at + 1
        else:
            number, length, value_at = head, datagram[at + 1], at + 2
        if number == wanted and length and value_at < end:
            return datagram[value_at] & 0x7F
        at = value_at + length
    return None
