"""The thread that hears: it turns the packets of all tracks into frames and spurts.

A turn takes in what has come since the last one, in rounds of one frame a track, and runs the detector once a round for
many tracks. So a spurt's start stands near the frames around it. Who goes first when there is more than a turn has time
for:

- A turn ends after `TURN_S` with the round it is in. What is left comes first in the next one, behind new packets.
- A track's frame is due 80 ms behind the frame before it, or when it arrives, if that is later. What is due goes before
  what came faster than it was spoken.
- A track that drops nothing and is ahead of its time by `FILE_AHEAD_S` is a file, and goes behind all others, here and
  for lanes, until it is no longer. So who speaks is live, by whichever door, and a file is one even if it is not said.
- Within each of these connections take turns, within a connection its rooms, and within a room its tracks.
- What a track that drops audio has had waiting for longer than `most_pending_s` is dropped and told as a gap.
- What is told of a track, a flush or its end, waits until the audio before it was taken in.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from captions.engine.fairness import in_turns
from captions.engine.lateness import Lateness
from captions.engine.mailbox import Mailbox
from captions.engine.orders import (
    Arrived,
    AudioEnded,
    BadAudio,
    CloseTrack,
    EndSpeech,
    FlushAsked,
    FlushTrack,
    Impaired,
    Notice,
    OpenTrack,
    PacketArrived,
    PushFrame,
    RankTrack,
    SenderHeld,
    SenderReleased,
    StartSpeech,
    Taken,
    TrackClosed,
    TrackMuted,
    TrackOpened,
    Turn,
)
from captions.engine.worker import Worker, describe, whereabouts
from captions.stream.chunk_cutter import CHUNK_SPAN, Chunk
from captions.stream.ear import Ear, Impairment, Taking
from captions.types import FRAME_S
from captions.vad.gate import Gate, GatePolicy, SpurtEnded, SpurtStarted
from captions.vad.silero import SileroVad

__all__ = ["TURN_S", "Listener"]

log = logging.getLogger(__name__)

TURN_S = 0.02
"""What a turn takes at most, but for the round it is in: nothing is delivered before it ends."""

FILE_AHEAD_S = 2.0
"""So far ahead of its time nobody is who speaks: clients gather a second at most."""

ROUND_TRACKS = 64
"""The most tracks of one round: the detector gains little from more at once, and a round cannot be cut short."""

STALL_MARGIN_S = 0.2
"""How much longer than the gate's hangover nothing may come from a track in the middle of a spurt."""


@dataclass(slots=True)
class ListenedTrack:
    """The listener's part of a track. `stream` is the detector's; `held`: its sender was told to wait.

    `due_at`: when its next frame is due. `is_file`: it is ahead of its time. `later`: what was told of it behind audio
    that is still to be taken in.
    """

    opened: TrackOpened
    ear: Ear
    gate: Gate
    stream: int
    told_impairment: Impairment
    later: deque[Notice] = field(default_factory=deque)
    due_at: float = 0.0
    is_file: bool = False
    held: bool = False
    pushed_to: int = 0
    told_taken: int = 0
    told_weight: int = 0


class Listener:
    """Call `start`, then `tell` from any thread; `deliver` is called on the listener's thread. `stop` ends it.

    After an error `failure` says what happened, and nothing is heard any more; `worker` says whether it stands still,
    and `lateness` how long live audio waits here (seconds).

    `turn` is one round of work and may be called by hand instead of `start`. `pause_s` is the least time between two
    turns: it lets packets of many tracks gather, so that the detector runs on all of them at once. At most
    `max_notices` wait for the next turn.
    """

    def __init__(
        self,
        vad: SileroVad,
        gate: GatePolicy,
        deliver: Callable[[Turn], None],
        clock: Callable[[], float],
        *,
        most_pending_s: float = 20.0,
        max_notices: int = 100_000,
        skips_silence: bool = True,
        pause_s: float = 0.01,
    ) -> None:
        self._vad = vad
        self._gate_policy = gate
        self._deliver = deliver
        self._clock = clock
        self._most_pending_s = most_pending_s
        self._skips_silence = skips_silence
        self._pause_s = pause_s
        self._stalled_after_s = gate.hangover_s + STALL_MARGIN_S
        self._speaking: set[int] = set()
        self._tracks: dict[int, ListenedTrack] = {}
        self._sounding: dict[int, ListenedTrack] = {}
        self._taken_bytes = 0
        self._left_bytes = 0
        self._inbox: Mailbox[Notice] = Mailbox(max_notices, PacketArrived)
        self._left_since = math.inf
        self.failure: str | None = None
        self.lateness = Lateness()
        self.worker = Worker("listener", self._run, clock)

    def start(self) -> None:
        self.worker.start()

    @property
    def tracks(self) -> int:
        return len(self._tracks)

    @property
    def detector_streams(self) -> int:
        return self._vad.streams

    @property
    def has_rest(self) -> bool:
        """The latest turn has left audio for the next."""
        return bool(self._sounding)

    def tell(self, notice: Notice) -> bool:
        """False: there was no room for a packet. It will not be heard."""
        return self._inbox.put(notice)

    def hear(self, arrivals: Sequence[PacketArrived]) -> Sequence[Notice]:
        """The packets of one message. Returns those for which there was no room: they will not be heard."""
        return self._inbox.put_all(arrivals)

    def pending_bytes(self, told_bytes: int) -> int:
        """Of packets that wait to be heard, if `told_bytes` were told so far; may be asked from any thread."""
        return told_bytes - self._taken_bytes + self._left_bytes

    def stop(self, timeout_s: float = 10.0) -> bool:
        """End after the turn under way. False: it takes longer than that."""
        self._inbox.close()
        return self.worker.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._inbox.is_closed:
                if not self._sounding:
                    self._inbox.wait(self._stalled_after_s / 4 if self._speaking else None)
                self.worker.busy()
                turn = self.turn()
                if turn.orders or turn.heard:
                    self._deliver(turn)
                self.worker.waits()
                self._inbox.rest(self._pause_s)
        except Exception as error:  # noqa: BLE001 -- whatever it is, nobody hears anything any more
            self.failure = describe(error)
            log.error("the listener failed", extra={"reason": self.failure, "in": whereabouts(error)})

    def turn(self) -> Turn:
        """Hear what has come in since the last turn, as far as there is time."""
        turn = Turn([], [])
        until = self._clock() + TURN_S
        oldest_at = self._left_since
        tracks, sounding = self._tracks, self._sounding
        taken_bytes = 0
        for notice in self._inbox.take():
            if not isinstance(notice, PacketArrived):
                self._take(notice, turn)
                continue
            packet = notice.packet
            taken_bytes += len(packet.data)
            if packet.arrived_at < oldest_at:
                oldest_at = packet.arrived_at
            track = tracks.get(notice.track)
            if track is None:
                continue
            if track.later:
                track.later.append(notice)
            elif track.ear.push(packet):
                sounding[notice.track] = track
            elif not track.opened.drops:
                self._tell_taken(notice.track, track, turn)
        self._taken_bytes += taken_bytes
        self._drop_stale()
        self._hear(until, turn)
        self._left_bytes = sum(track.ear.pending_bytes for track in self._sounding.values())
        now = self._clock()
        self._end_stalled(now, turn)
        if oldest_at < now:
            self.lateness.saw(now - oldest_at, now)
        # What came ahead of its time, as of a file or in a burst, is late from the time it was due.
        due = (max(track.due_at, track.ear.waits_since) for track in self._sounding.values() if track.due_at <= now)
        self._left_since = min(due, default=math.inf)
        return turn

    def _push(self, track: ListenedTrack, arrival: PacketArrived, turn: Turn) -> None:
        if track.ear.push(arrival.packet):
            self._sounding[arrival.track] = track
        elif not track.opened.drops:
            self._tell_taken(arrival.track, track, turn)

    def _take(self, notice: Notice, turn: Turn) -> None:
        """Obey a notice, unless it is to wait for audio."""
        if isinstance(notice, FlushAsked | AudioEnded | TrackMuted) and notice.track in self._sounding:
            self._sounding[notice.track].later.append(notice)
        else:
            self._obey(notice, turn)

    def _take_later(self, track_id: int, track: ListenedTrack, turn: Turn) -> None:
        """All audio of a track was taken in: go on with what was told of it behind that, up to more audio."""
        while track.later and track_id not in self._sounding:
            notice = track.later.popleft()
            if isinstance(notice, PacketArrived):
                self._push(track, notice, turn)
            else:
                self._obey(notice, turn)
        while track.later and isinstance(next_one := track.later[0], PacketArrived):
            self._push(track, next_one, turn)
            track.later.popleft()

    def _drop_stale(self) -> None:
        """Of what an earlier turn has left."""
        stale_before = self._clock() - self._most_pending_s
        for track in self._sounding.values():
            if track.opened.drops:
                track.ear.drop_before(stale_before)

    def _obey(self, notice: Notice, turn: Turn) -> None:
        if isinstance(notice, TrackOpened):
            ear = Ear(notice.codec, skips_silence=self._skips_silence, counts=not notice.drops)
            self._tracks[notice.track] = ListenedTrack(
                notice, ear, Gate(self._gate_policy), self._vad.open(), ear.impairment
            )
            turn.orders.append(OpenTrack(notice.track, notice.room, notice.drops))
            return
        track = self._tracks.get(notice.track)
        if track is None:
            return
        match notice:
            case TrackMuted():
                self._end_spurt(notice.track, track, turn)
            case SenderHeld():
                track.held = True
            case SenderReleased():
                track.held = False
            case FlushAsked():
                self._finish_frame(notice.track, track, turn)
                turn.orders.append(FlushTrack(notice.track, notice.id))
            case AudioEnded():
                if track.ear.end():
                    self._hear_all(notice.track, track, turn)
                self._finish_frame(notice.track, track, turn)
                self._end_spurt(notice.track, track, turn)
                turn.orders.append(FlushTrack(notice.track, notice.id))
            case TrackClosed():
                self._vad.close(track.stream)
                del self._tracks[notice.track]
                self._sounding.pop(notice.track, None)
                self._speaking.discard(notice.track)
                turn.orders.append(CloseTrack(notice.track))

    def _hear(self, until: float, turn: Turn) -> None:
        """Take in what is pending, in rounds, until there is none or the turn's time is over."""
        while self._sounding:
            tracks = self._next_to_hear(self._clock())
            for at in range(0, len(tracks), ROUND_TRACKS):
                self._hear_round(tracks[at : at + ROUND_TRACKS], turn)
                if self._clock() >= until:
                    return

    def _next_to_hear(self, now: float) -> list[tuple[int, ListenedTrack]]:
        """Of whom a frame is to be taken in now, in order; a frame that comes a little early is due."""
        sounding = self._sounding.items()
        tracks = [one for one in sounding if not one[1].is_file and one[1].due_at <= now + FRAME_S]
        tracks = tracks or [one for one in sounding if not one[1].is_file] or list(sounding)
        if len(tracks) <= ROUND_TRACKS:
            return tracks
        return in_turns(tracks, lambda one: one[1].opened.source, lambda one: one[1].opened.room)

    def _hear_round(self, tracks: Sequence[tuple[int, ListenedTrack]], turn: Turn) -> None:
        """Take in a frame of each, and have the detector hear all of them. Who has more goes behind the others."""
        chunks: list[tuple[int, ListenedTrack, tuple[Chunk, ...]]] = []
        done: list[tuple[int, ListenedTrack]] = []
        for track_id, track in tracks:
            taking = track.ear.take(speaking=track.gate.speaking)
            self._tell(track_id, track, taking, turn)
            if taking.chunks:
                chunks.append((track_id, track, taking.chunks))
            del self._sounding[track_id]
            if taking.more:
                track.due_at = max(track.due_at, track.ear.newest.arrived_at) + FRAME_S
                self._sounding[track_id] = track
                if not track.opened.drops:
                    self._rank(track_id, track, turn)
            elif track.later:
                done.append((track_id, track))
        self._detect(chunks, turn)
        for track_id, track in done:
            self._take_later(track_id, track, turn)

    def _rank(self, track_id: int, track: ListenedTrack, turn: Turn) -> None:
        is_file = track.due_at - track.ear.newest.arrived_at > FILE_AHEAD_S
        if is_file is not track.is_file:
            track.is_file = is_file
            turn.orders.append(RankTrack(track_id, live=not is_file))

    def _hear_all(self, track_id: int, track: ListenedTrack, turn: Turn) -> None:
        """Take in the little that waited for lost packets, however long it takes: no more comes."""
        self._sounding[track_id] = track
        while track_id in self._sounding:
            self._hear_round([(track_id, track)], turn)

    def _tell(self, track_id: int, track: ListenedTrack, taking: Taking, turn: Turn) -> None:
        """Tell the runner of a frame, and the track's door of everything else."""
        if taking.damage is not None:
            turn.heard.append((track_id, BadAudio(taking.damage)))
        if taking.arrivals:
            turn.heard.append((track_id, Arrived(taking.arrivals)))
        for gap in taking.gaps:
            turn.heard.append((track_id, gap))
        if taking.frame is not None:
            turn.orders.append(PushFrame(track_id, taking.frame))
            track.pushed_to = max(track.pushed_to, taking.frame.end)
            self._tell_impaired(track_id, track, turn)
        if not track.opened.drops:
            self._tell_taken(track_id, track, turn)

    def _tell_impaired(self, track_id: int, track: ListenedTrack, turn: Turn) -> None:
        impairment = track.ear.impairment
        if impairment != track.told_impairment:
            more = (now - told for now, told in zip(impairment, track.told_impairment, strict=True))
            turn.heard.append((track_id, Impaired(*more)))
            track.told_impairment = impairment

    def _tell_taken(self, track_id: int, track: ListenedTrack, turn: Turn) -> None:
        taken = track.ear.taken_samples
        weight = track.ear.taken_weight
        if weight > track.told_weight:
            turn.heard.append((track_id, Taken(taken - track.told_taken, weight - track.told_weight, track.pushed_to)))
            track.told_taken, track.told_weight = taken, weight

    def _detect(self, heard: list[tuple[int, ListenedTrack, tuple[Chunk, ...]]], turn: Turn) -> None:
        """The detector's opinion of the first chunk of every track, then of the second, and so on."""
        at = 0
        while ready := [(track_id, track, chunks[at]) for track_id, track, chunks in heard if at < len(chunks)]:
            for _, track, chunk in ready:
                if chunk.fresh:
                    self._vad.reset(track.stream)
            probabilities = self._vad.probabilities(
                [track.stream for _, track, _ in ready], np.stack([chunk.pcm for _, _, chunk in ready])
            )
            for (track_id, track, chunk), probability in zip(ready, probabilities.tolist(), strict=True):
                spurt = track.gate.push(probability, chunk.start, chunk.start + CHUNK_SPAN)
                if spurt is not None:
                    self._turn_gate(track_id, track, spurt, turn)
            at += 1

    def _end_stalled(self, now: float, turn: Turn) -> None:
        """End the spurts of tracks that have stopped sending: muted without telling us, or cut off by the network."""
        for track_id in tuple(self._speaking):
            track = self._tracks[track_id]
            waits = track.held or track_id in self._sounding
            if not waits and now - track.ear.newest.arrived_at > self._stalled_after_s:
                self._end_spurt(track_id, track, turn)

    def _finish_frame(self, track_id: int, track: ListenedTrack, turn: Turn) -> None:
        taking = track.ear.finish(self._clock())
        self._tell(track_id, track, taking, turn)
        self._detect([(track_id, track, taking.chunks)], turn)

    def _end_spurt(self, track_id: int, track: ListenedTrack, turn: Turn) -> None:
        spurt = track.gate.close(track.ear.position)
        if spurt is not None:
            self._turn_gate(track_id, track, spurt, turn)
        else:
            self._vad.reset(track.stream)

    def _turn_gate(self, track_id: int, track: ListenedTrack, spurt: SpurtStarted | SpurtEnded, turn: Turn) -> None:
        """Tell of a spurt's start or end. Behind a spurt the detector is reset: it would take a breath for speech."""
        turn.heard.append((track_id, spurt))
        if isinstance(spurt, SpurtStarted):
            self._speaking.add(track_id)
            turn.orders.append(StartSpeech(track_id))
        else:
            self._speaking.discard(track_id)
            self._vad.reset(track.stream)
            turn.orders.append(EndSpeech(track_id, spurt.at))
