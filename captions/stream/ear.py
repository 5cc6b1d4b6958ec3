"""One track on its way from packets to frames and chunks: ordered, decoded unless it is surely silent, and cut.

Without a detector: the chunks are left to whoever runs it for many tracks at once, and says back whether a spurt is
under way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from captions.stream.chunk_cutter import Chunk, ChunkCutter
from captions.stream.codec import AudioError, Codec, weight
from captions.stream.decode import decoder_for
from captions.stream.frame_cutter import FrameCutter
from captions.stream.silent_run import SilentRun
from captions.stream.sleep import KEPT_S, Sleep, SleepState
from captions.stream.timeline import Lost, Packet, PlacedPacket, Timeline, Unsent
from captions.types import FRAME_SAMPLES, Frame, Gap, Pcm

__all__ = ["Ear", "Impairment", "Taking"]

_ASLEEP, _WAKING = SleepState.ASLEEP, SleepState.WAKING


class Impairment(NamedTuple):
    """What the network has spoilt so far: packets dropped as late or repeated, and samples lost and made up."""

    late: int
    repeated: int
    concealed: int


class Taking(Struct, frozen=True):
    """What came of audio that was taken in.

    `frame`: the one that became full, and `chunks` those of it. `arrivals`: the packets that were decoded. `gaps`: what
    will never be heard. `damage`: why a packet could not be decoded. `more`: there is something more to take in.
    """

    frame: Frame | None
    chunks: tuple[Chunk, ...]
    arrivals: Sequence[PlacedPacket]
    gaps: Sequence[Gap]
    damage: str | None
    more: bool


class Ear:
    """One track. `push` packets; while there is something to take in, `take` it, a frame at a time.

    Packets are taken in together when a frame is full: `gathering` says that some wait for the rest of theirs. Take
    them all the same when no more come, or before a flush; with `counts` none wait.
    `speaking` is what the speech gate says: in the middle of a spurt a track does not fall asleep. `newest` is the
    packet taken in last; `taken_samples` counts what all packets taken in held, whatever became of them, and
    `taken_weight` what they counted for while they waited; without `counts` neither is counted.
    """

    def __init__(self, codec: Codec, *, skips_silence: bool = True, counts: bool = True) -> None:
        self.newest = Packet(b"", 0.0)
        self._measure = codec.measure
        self._ticks_in = codec.ticks_in
        self._timeline = Timeline(codec.sample_rate, codec.ticks_in)
        self._most_run_ticks = round(2 * KEPT_S * codec.sample_rate)
        self._run = SilentRun()
        self._decoder = decoder_for(codec)
        self._surely_silent = self._decoder.surely_silent
        self._skips_silence = skips_silence
        self._counts = counts
        self._gathered = 0
        self.gathering = False
        self._sleep = Sleep(allowed=skips_silence)
        self._frames = FrameCutter()
        self._chunks = ChunkCutter()
        self._decoded: Pcm = np.empty(0, np.float32)
        self._cut_to = 0
        self._decoded_to = 0
        self._arrivals: list[PlacedPacket] = []
        self._gaps: list[Gap] = []
        self._concealed = 0
        self._taken = 0
        self._taken_weight = 0

    @property
    def position(self) -> int:
        """The media position up to which audio was taken in (samples)."""
        return self._frames.position

    @property
    def taken_samples(self) -> int:
        return self._taken + self._timeline.refused_samples

    @property
    def taken_weight(self) -> int:
        return self._taken_weight + self._timeline.refused_weight

    @property
    def pending_bytes(self) -> int:
        """Of packets that were pushed and not taken in yet."""
        return self._timeline.pending_bytes

    @property
    def kept_packets(self) -> int:
        """What is kept undecoded of a track that sleeps, for its next speech: two or three seconds at most."""
        return self._sleep.kept + len(self._run.packets)

    @property
    def waits_since(self) -> float:
        """When the oldest packet arrived that was pushed and not taken in yet; infinity if there is none."""
        oldest_at = self._timeline.oldest_at
        return math.inf if oldest_at is None else oldest_at

    @property
    def impairment(self) -> Impairment:
        return Impairment(self._timeline.late, self._timeline.repeated, self._concealed)

    def push(self, packet: Packet) -> bool:
        """The next packet as it came. Whether there is something to take in: a frame, and nothing while it sleeps."""
        if self._sleep.state is not _ASLEEP:
            self._timeline.push(packet)
            data = packet.data
            self._gathered += weight(self._measure(data), len(data))
            ready = self._counts or self._gathered >= self._frames.wants or self._timeline.misordered
            self.gathering = not ready
            return ready
        run = self._run
        if self._surely_silent(packet.data, packet.level) and run.takes(packet):
            if len(run.packets) * run.ticks >= self._most_run_ticks:
                self._skip_half()
            return False
        self._end_run()
        return self._push_asleep(packet)

    def end(self) -> bool:
        """No more packets come: what waits for earlier ones waits no longer. Returns what `push` does."""
        self._end_run()
        self._timeline.give_up_waiting()
        return self._wakes()

    def drop_before(self, moment: float) -> None:
        """Give up all that arrived before a moment and was not taken in yet."""
        while (arrived_at := self._timeline.oldest_at) is not None and arrived_at < moment:
            self.drop_oldest()

    def drop_oldest(self) -> None:
        """Give up the packet that has waited longest, and the frame under way with it: a gap."""
        item = self._sleep.drop() if self._sleep.state is _WAKING else self._pop_oldest()
        if item is None:
            return
        under_way = self._frames.position > self._frames.audio_from and item.start == self._decoded_to
        end = item.start + item.samples
        start = self._frames.audio_from if under_way else item.start
        if self._gaps and self._gaps[-1].end == start and self._gaps[-1].reason == "overload":
            start = self._gaps.pop().start
        self._gaps.append(Gap(start, end, "overload"))
        self._jump(end)

    def take(self, *, speaking: bool) -> Taking:
        """Take in audio up to the end of the frame under way, or to a packet that cannot be decoded."""
        self._gathered = 0
        self.gathering = False
        while self._frames.wants:
            if self._cut_to == len(self._decoded):
                try:
                    if not self._decode_next(speaking):
                        return self._taking(None, (), more=False)
                except AudioError as error:
                    return self._taking(None, (), more=True, damage=str(error))
            pcm = self._decoded[self._cut_to : self._cut_to + self._frames.wants]
            self._cut_to += len(pcm)
            self._frames.add(pcm)
        frame = self._frames.cut(self.newest.arrived_at)
        more = self._cut_to < len(self._decoded) or self._sleep.state is _WAKING or self._timeline.pending > 0
        return self._taking(frame, self._chunks.add(frame.pcm), more=more)

    def finish(self, now: float) -> Taking:
        """The frame under way, filled up with silence, if it has any audio. The clock stays where the audio ended."""
        audio = FRAME_SAMPLES - self._frames.wants
        frame = self._frames.finish(now)
        return self._taking(frame, () if frame is None else self._chunks.add(frame.pcm[:audio]), more=False)

    def _taking(
        self, frame: Frame | None, chunks: tuple[Chunk, ...], *, more: bool, damage: str | None = None
    ) -> Taking:
        arrivals, self._arrivals = self._arrivals, []
        gaps: Sequence[Gap] = ()
        if self._gaps:
            gaps, self._gaps = self._gaps, []
        return Taking(frame, chunks, arrivals, gaps, damage, more)

    def _pop_oldest(self) -> PlacedPacket | Lost | Unsent | None:
        item = self._timeline.drop_oldest()
        if isinstance(item, PlacedPacket):
            self._count(item)
        return item

    def _count(self, placed: PlacedPacket) -> None:
        if self._counts:
            self._taken += placed.samples
            self._taken_weight += weight(placed.samples, len(placed.packet.data))

    def _push_asleep(self, packet: Packet) -> bool:
        placed = self._timeline.place_at_once(packet)
        if placed is None:
            return self._wakes() or bool(self._gaps)
        self._keep(placed)
        if self._sleep.state is not _ASLEEP:
            return True
        if not self._counts:
            self._run.begin(packet, self._ticks_in(packet.data))
        return bool(self._gaps)

    def _end_run(self) -> None:
        """Place what was kept of a run."""
        for packet in self._run.end():
            placed = self._timeline.place_at_once(packet)
            if placed is None:
                self._wakes()
            else:
                self._keep(placed)

    def _skip_half(self) -> None:
        """Of a long run the first half will never be heard, whatever comes: only the clock goes on behind it."""
        packets = self._run.packets
        half = len(packets) // 2
        self._timeline.skip(packets[:half], self._run.ticks)
        del packets[:half]

    def _wakes(self) -> bool:
        """Whether the track is awake or wakes up now; what has come is kept undecoded until it does."""
        while self._sleep.state is _ASLEEP:
            item = self._timeline.pop()
            if item is None:
                return False
            if isinstance(item, PlacedPacket):
                self._keep(item)
            elif isinstance(item, Unsent) and item.lost:
                self._gaps.append(Gap(item.start, item.start + item.samples, "loss"))
        return True

    def _keep(self, placed: PlacedPacket) -> None:
        packet = self.newest = placed.packet
        self._count(placed)
        self._sleep.keep(placed, self._surely_silent(packet.data, packet.level))

    def _falls_asleep(self, placed: PlacedPacket, speaking: bool) -> bool:
        packet = placed.packet
        silent = self._skips_silence and self._surely_silent(packet.data, packet.level)
        return self._sleep.falls_asleep(placed, silent, speaking)

    def _decode_next(self, speaking: bool) -> bool:
        """Decode the next stretch of the timeline. Returns False if there is none yet."""
        while True:
            if self._sleep.state is _WAKING:
                self._decode_kept()
                return True
            match self._timeline.pop():
                case None:
                    return False
                case PlacedPacket() as placed if self._sleep.state is _ASLEEP:
                    self._keep(placed)
                case PlacedPacket() as placed:
                    self._count(placed)
                    self.newest = placed.packet
                    if not self._falls_asleep(placed, speaking):
                        self._decode(placed)
                        return True
                case Lost(start, samples, behind):
                    if self._sleep.state is not _ASLEEP:
                        self._concealed += samples
                        self._go_on(start, samples, self._decoder.conceal(samples, behind.data))
                        return True
                case Unsent(start, samples, lost):
                    if lost:
                        self._gaps.append(Gap(start, start + samples, "loss"))
                    played = self._sleep.played_of(samples, speaking=speaking)
                    if played:
                        self._go_on(start, played, np.zeros(played, np.float32))
                        return True

    def _decode_kept(self) -> None:
        item = self._sleep.take()
        if isinstance(item, PlacedPacket):
            self._decode(item)
        else:
            start, samples = item
            self._go_on(start, samples, np.zeros(samples, np.float32))

    def _decode(self, placed: PlacedPacket) -> None:
        """A packet's audio, or a stand-in where it cannot be decoded.

        Raises:
            AudioError: it cannot be.
        """
        self.newest = placed.packet
        self._arrivals.append(placed)
        try:
            self._go_on(placed.start, placed.samples, self._decoder.decode(placed.packet.data))
        except AudioError:
            self._go_on(placed.start, placed.samples, self._decoder.conceal(placed.samples, b""))
            raise

    def _go_on(self, start: int, samples: int, pcm: Pcm) -> None:
        """Audio for the stretch of `samples` from `start`, and a jump there if something before it was passed over.

        The stretch is as long as the timeline says, not as `pcm` is: a resampler holds some samples back.
        """
        if start != self._decoded_to:
            self._jump(start)
        self._decoded_to = start + samples
        self._decoded = pcm
        self._cut_to = 0

    def _jump(self, position: int) -> None:
        """Go on from another media position. The frame under way is lost: it held silence, or is told as a gap."""
        self._chunks.jump(self._frames.jump(position))
        self._decoded_to = position
        self._cut_to = len(self._decoded)
