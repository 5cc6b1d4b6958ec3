"""Silence of a sleeping track, packet behind packet with nothing missing: kept as it came, and not yet placed. Pure.

Most packets of most tracks are these, and all that has to be known of them is that they follow on each other.
"""

from __future__ import annotations

from captions.stream.timeline import Packet

__all__ = ["SilentRun"]


class SilentRun:
    """`begin` where the next packet is expected; ask of each whether the run `takes` it; `end` gives the packets away.

    A packet is expected by sequence number and timestamp, so one without either is never taken.
    """

    __slots__ = ("_next_seq", "_next_timestamp", "_ticks", "packets")

    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self._next_seq = self._next_timestamp = -1
        self._ticks = 0

    @property
    def ticks(self) -> int:
        """How long each packet is, by the clock of the timestamps."""
        return self._ticks

    def begin(self, behind: Packet, ticks: int) -> None:
        """Go on behind a packet of so many ticks; each that follows is as long."""
        if behind.seq is not None and behind.timestamp is not None and ticks > 0:
            self._next_seq = (behind.seq + 1) & 0xFFFF
            self._next_timestamp = (behind.timestamp + ticks) & 0xFFFF_FFFF
            self._ticks = ticks

    def takes(self, packet: Packet) -> bool:
        """Whether a packet is the expected one; it is kept, then."""
        if packet.seq != self._next_seq or packet.timestamp != self._next_timestamp:
            return False
        self._next_seq = (self._next_seq + 1) & 0xFFFF
        self._next_timestamp = (self._next_timestamp + self._ticks) & 0xFFFF_FFFF
        self.packets.append(packet)
        return True

    def end(self) -> list[Packet]:
        """All that was kept, in order; no packet is expected any more."""
        packets, self.packets = self.packets, []
        self._next_seq = self._next_timestamp = -1
        return packets
