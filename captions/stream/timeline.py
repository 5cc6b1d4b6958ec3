"""A track's media clock. Packets go in as a network delivers them; out come, in order, packets and what is missing.

RTP's sequence numbers and timestamps (RFC 3550; for Opus RFC 7587) say what was lost, what is late and what was never
sent. Rules:

- A packet that comes early waits until the ones before it have come, or until `WINDOW` later ones have: then those are
  lost. So order costs no time unless something is missing.
- A hole of a few packets is to be concealed; a longer one is silence, told as a gap.
- A jump of the timestamp without a hole in the sequence is silence that was not sent (DTX, mute, push-to-talk).
- A sequence far off, or a timestamp that runs backwards or far ahead of the time that went by, is a restarted sender:
  its audio follows on what was heard, after as much silence as it was away.
- Without sequence numbers and timestamps the order of arrival is the clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from msgspec import Struct

from captions.stream.codec import weight
from captions.types import SAMPLE_RATE, samples_in

__all__ = ["Lost", "Packet", "PlacedPacket", "Timeline", "TimelineItem", "Unsent"]

WINDOW = 3
MOST_MISORDERED = 100
MOST_DROPPED = 3_000
MOST_CONCEALED_SAMPLES = samples_in(0.12)
MOST_AHEAD_S = 30.0


class Packet(Struct, frozen=True, gc=False):
    """One message's audio, undecoded, and when it arrived.

    `seq` (16 bits) and `timestamp` (32 bits) are RTP's. `captured_at` is the sender's clock at its first sample.
    `level` is its loudness in -dBov, 0 to 127 (RFC 6464). All four where the sender gives them.
    """

    data: bytes
    arrived_at: float
    captured_at: float | None = None
    seq: int | None = None
    timestamp: int | None = None
    level: int | None = None


class PlacedPacket(Struct, frozen=True, gc=False):
    """A packet and the media position of its first sample."""

    packet: Packet
    start: int
    samples: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Audio to conceal; the packet behind the hole may carry a spare copy of its end (in-band FEC)."""

    start: int
    samples: int
    behind: Packet


@dataclass(frozen=True, slots=True)
class Unsent:
    """Silence; `lost` where it stands for more lost packets than can be concealed."""

    start: int
    samples: int
    lost: bool


TimelineItem: TypeAlias = PlacedPacket | Lost | Unsent


class Timeline:
    """One track. `push` packets as they come, `pop` until None. Late and repeated packets are dropped and counted.

    `clock_rate` is that of the timestamps, and `ticks_of` gives a packet's length by it: the clock is kept in these, so
    that no rounding adds up. `refused_samples` and `refused_weight` count what was late or repeated, and
    `pending_bytes` what was pushed and not popped yet.
    """

    def __init__(self, clock_rate: int, ticks_of: Callable[[bytes], int]) -> None:
        self._clock_rate = clock_rate
        self._ticks_of = ticks_of
        self._early: dict[int, Packet] = {}
        self._ready: deque[TimelineItem] = deque()
        self._unordered: deque[Packet] = deque()
        self._next_seq: int | None = None
        self._timestamp: int | None = None
        self._ticks = 0
        self._base = 0
        self._arrived_at = 0.0
        self._placed: deque[int] = deque(maxlen=MOST_MISORDERED)
        self.late = 0
        self.repeated = 0
        self.refused_samples = 0
        self.refused_weight = 0
        self.pending_bytes = 0

    @property
    def position(self) -> int:
        """The media position behind everything placed so far (samples)."""
        return self._samples(self._ticks)

    @property
    def pending(self) -> int:
        """Packets not popped yet."""
        return len(self._early) + len(self._unordered) + len(self._ready)

    @property
    def misordered(self) -> bool:
        """Packets wait for others before them."""
        return bool(self._early)

    @property
    def oldest_at(self) -> float | None:
        """When the packet arrived that would be dropped next; None if there is none."""
        for item in self._ready:
            if isinstance(item, PlacedPacket):
                return item.packet.arrived_at
        if self._unordered:
            return self._unordered[0].arrived_at
        return self._early[min(self._early)].arrived_at if self._early else None

    def push(self, packet: Packet) -> None:
        self.pending_bytes += len(packet.data)
        if packet.seq is None:
            self._unordered.append(packet)
            return
        if self._next_seq is None:
            self._next_seq = packet.seq
        if packet.seq == self._next_seq & 0xFFFF and not self._early:
            self._place(packet, 0)
            self._placed.append(self._next_seq)
            self._next_seq += 1
            return
        seq = _unwrapped(packet.seq, self._next_seq, 16)
        if not -MOST_MISORDERED <= seq - self._next_seq <= MOST_DROPPED:
            self.give_up_waiting()
            self._placed.clear()
            self._next_seq = seq
        if seq in self._early or seq in self._placed:
            self.repeated += 1
        elif seq < self._next_seq:
            self.late += 1
        else:
            self._early[seq] = packet
            return
        samples = self._samples(self._ticks_of(packet.data))
        self.refused_samples += samples
        self.refused_weight += weight(samples, len(packet.data))
        self.pending_bytes -= len(packet.data)

    def place_at_once(self, packet: Packet) -> PlacedPacket | None:
        """Push a packet and pop it in one go, if it is the very next one and nothing waits or is missing before it.

        Else it is only pushed. Nearly all packets of nearly all tracks go this way: who is silent costs little else.
        """
        seq, ticks = self._next_seq, self._ticks
        if (
            seq is None
            or packet.seq != seq & 0xFFFF
            or self._timestamp is None
            or packet.timestamp != (ticks - self._base) & 0xFFFF_FFFF
            or self._ready
            or self._early
            or self._unordered
        ):
            self.push(packet)
            return None
        self._timestamp = ticks - self._base
        self._ticks = end = ticks + self._ticks_of(packet.data)
        self._placed.append(seq)
        self._next_seq = seq + 1
        self._arrived_at = packet.arrived_at
        start = self._samples(ticks)
        return PlacedPacket(packet, start, self._samples(end) - start)

    def skip(self, packets: Sequence[Packet], ticks: int) -> None:
        """Go on behind packets as if each had been pushed and popped: one behind the other, each of so many ticks, the
        first as `place_at_once` would have it.
        """
        assert self._next_seq is not None
        count = len(packets)
        self._placed.extend(range(self._next_seq, self._next_seq + count))
        self._next_seq += count
        self._ticks += count * ticks
        self._timestamp = self._ticks - ticks - self._base
        self._arrived_at = packets[-1].arrived_at

    def pop(self) -> TimelineItem | None:
        """The next stretch of the track, in order; None until more packets come."""
        if not self._ready:
            if self._unordered:
                self._place(self._unordered.popleft(), 0)
            elif self._next_seq is not None and self._early:
                seq = self._next_seq if self._next_seq in self._early else min(self._early)
                if seq == self._next_seq or len(self._early) > WINDOW:
                    self._place(self._early.pop(seq), seq - self._next_seq)
                    self._placed.append(seq)
                    self._next_seq = seq + 1
        if not self._ready:
            return None
        item = self._ready.popleft()
        if isinstance(item, PlacedPacket):
            self.pending_bytes -= len(item.packet.data)
        return item

    def drop_oldest(self) -> TimelineItem | None:
        """Give up what would be popped next, even if something before it may still come."""
        if not self._ready and not self._unordered and self._early:
            self._next_seq = min(self._early)
        return self.pop()

    def give_up_waiting(self) -> None:
        """Whatever waits for something before it is placed as it is."""
        for seq in sorted(self._early):
            assert self._next_seq is not None
            self._place(self._early[seq], seq - self._next_seq)
            self._next_seq = seq + 1
        self._early.clear()

    def _place(self, packet: Packet, lost_packets: int) -> None:
        ticks = self._ticks_of(packet.data)
        hole = self._hole_before(packet, ticks, lost_packets)
        start = self._samples(self._ticks)
        self._ticks += hole
        heard = self._samples(self._ticks) if hole else start
        if heard > start:
            if lost_packets and heard - start <= MOST_CONCEALED_SAMPLES:
                self._ready.append(Lost(start, heard - start, packet))
            else:
                self._ready.append(Unsent(start, heard - start, lost_packets > 0))
        self._ticks += ticks
        self._ready.append(PlacedPacket(packet, heard, self._samples(self._ticks) - heard))
        self._arrived_at = packet.arrived_at

    def _hole_before(self, packet: Packet, ticks: int, lost_packets: int) -> int:
        """How many ticks lie between what was placed last and this packet, which lasts `ticks`. Never negative."""
        if packet.timestamp is None:
            return lost_packets * ticks
        if self._timestamp is None:
            self._timestamp = packet.timestamp
            self._base = self._ticks - packet.timestamp
            return 0
        if packet.timestamp == (self._ticks - self._base) & 0xFFFF_FFFF:
            self._timestamp = self._ticks - self._base
            return 0
        timestamp = _unwrapped(packet.timestamp, self._timestamp, 32)
        hole = self._base + timestamp - self._ticks
        away = max(0, round((packet.arrived_at - self._arrived_at) * self._clock_rate))
        if hole < 0 or hole > away + MOST_AHEAD_S * self._clock_rate:
            hole = max(lost_packets * ticks, away - ticks)
            self._base = self._ticks + hole - timestamp
        self._timestamp = timestamp
        return hole

    def _samples(self, ticks: int) -> int:
        return ticks * SAMPLE_RATE // self._clock_rate


def _unwrapped(value: int, near: int, bits: int) -> int:
    """The number nearest to `near` that is `value` in its last `bits` bits."""
    half = 1 << (bits - 1)
    return near + ((value - near + half) & ((1 << bits) - 1)) - half
