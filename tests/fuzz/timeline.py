"""RTP numbers, whatever they are: audio is placed once and in order, without holes or overlaps, and little waits."""

from __future__ import annotations

import struct

from captions.stream.codec import Codec
from captions.stream.timeline import WINDOW, Packet, PlacedPacket, Timeline

__all__ = ["check", "seeds"]

_PACKET = struct.Struct("<BHIH")
"""What it is (see `_packet`), sequence number, timestamp, and milliseconds since the packet before."""

_OPUS_20_MS = b"\x08\x01\x02"
_DATA = (_OPUS_20_MS, b"", b"\xff\xff", b"\xfb\x3f", b"\x80\x00\x00\x00")


def seeds() -> list[bytes]:
    plain = [(0, number, 960 * number, 20) for number in range(6)]
    lossy = [(0, number, 960 * number, 20) for number in (0, 1, 4, 3, 3, 9, 10, 11, 12)]
    restarted = [(0, 65_534, 2**32 - 960, 20), (0, 65_535, 0, 20), (0, 30_000, 7, 20), (8, 1, 0, 900), (16, 2, 960, 3)]
    return [b"".join(_PACKET.pack(*packet) for packet in packets) for packets in (plain, lossy, restarted)]


def check(data: bytes) -> None:
    codec = Codec("opus")
    timeline = Timeline(codec.sample_rate, codec.ticks_in)
    at, heard_to, placed = 0.0, 0, 0
    whole = data[: len(data) // _PACKET.size * _PACKET.size]
    for pushed, (what, seq, timestamp, after_ms) in enumerate(_PACKET.iter_unpack(whole), 1):
        at += after_ms / 1_000
        timeline.push(_packet(what, seq, timestamp, at))
        if what & 0x80:
            timeline.give_up_waiting()
        while (item := timeline.pop()) is not None:
            assert item.start == heard_to
            assert item.samples >= 0
            heard_to += item.samples
            placed += isinstance(item, PlacedPacket)
        assert heard_to == timeline.position
        assert timeline.pending <= WINDOW
        assert pushed == placed + timeline.pending + timeline.late + timeline.repeated


def _packet(what: int, seq: int, timestamp: int, at: float) -> Packet:
    """The low three bits choose the audio, the next two whether it has a timestamp and a sequence number."""
    return Packet(
        _DATA[(what & 7) % len(_DATA)],
        at,
        seq=None if what & 8 else seq,
        timestamp=None if what & 16 else timestamp,
    )
