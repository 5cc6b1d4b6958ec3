"""The thread that hears: it turns the packets of all tracks into frames and spurts.

A turn takes what has come in since the last one, in rounds of one frame a track, and runs the detector once a round for
all tracks. So one track's flood does not keep the others waiting, and a spurt's start stands near the frames around it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

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
    SenderHeld,
    SenderReleased,
    StartSpeech,
    Taken,
    TrackClosed,
    TrackMuted,
    TrackOpened,
    Turn,
)
from captions.stream.chunk_cutter import CHUNK_SPAN, Chunk
from captions.stream.ear import Ear, Impairment, Taking
from captions.vad.gate import Gate, GatePolicy, SpurtEnded, SpurtStarted
from captions.vad.silero import SileroVad

__all__ = ["Listener"]

STALL_MARGIN_S = 0.2
"""How much longer than the gate's hangover nothing may come from a track in the middle of a spurt."""


@dataclass(slots=True)
class ListenedTrack:
    """The listener's part of a track. `stream` is the detector's; `held`: its sender was told to wait."""

    ear: Ear
    gate: Gate
    stream: int
    drops: bool
    told_impairment: Impairment
    held: bool = False
    pushed_to: int = 0
    told_taken: int = 0


class Listener:
    """Call `start`, then `tell` from any thread; `deliver` is called on the listener's thread. `stop` ends it.

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
        max_pending_packets: int = 1_000,
        max_notices: int = 100_000,
        skips_silence: bool = True,
        pause_s: float = 0.01,
    ) -> None:
        self._vad = vad
        self._gate_policy = gate
        self._deliver = deliver
        self._clock = clock
        self._max_pending_packets = max_pending_packets
        self._skips_silence = skips_silence
        self._pause_s = pause_s
        self._stalled_after_s = gate.hangover_s + STALL_MARGIN_S
        self._speaking: set[int] = set()
        self._tracks: dict[int, ListenedTrack] = {}
        self._inbox: Mailbox[Notice] = Mailbox(max_notices, PacketArrived)
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def tracks(self) -> int:
        return len(self._tracks)

    @property
    def detector_streams(self) -> int:
        return self._vad.streams

    def tell(self, notice: Notice) -> bool:
        """False: there was no room for a packet. It will not be heard."""
        return self._inbox.put(notice)

    def stop(self) -> None:
        self._inbox.close()
        self._thread.join()

    def _run(self) -> None:
        while not self._inbox.is_closed:
            self._inbox.wait(self._stalled_after_s / 4 if self._speaking else None)
            turn = self.turn()
            if turn.orders or turn.heard:
                self._deliver(turn)
            self._inbox.rest(self._pause_s)

    def turn(self) -> Turn:
        """Hear everything that has come in since the last turn."""
        turn = Turn([], [])
        sounding: dict[int, ListenedTrack] = {}
        for notice in self._inbox.take():
            if isinstance(notice, PacketArrived):
                track = self._tracks.get(notice.track)
                if track is not None and self._push(track, notice, turn):
                    sounding[notice.track] = track
                continue
            if notice.track in sounding:
                self._hear({notice.track: sounding.pop(notice.track)}, turn)
            self._obey(notice, turn)
        self._hear(sounding, turn)
        self._end_stalled(self._clock(), turn)
        return turn

    def _push(self, track: ListenedTrack, arrival: PacketArrived, turn: Turn) -> bool:
        """Whether there is something to take in."""
        ear = track.ear
        sounds = ear.push(arrival.packet)
        if track.drops:
            if sounds and ear.pending_packets > self._max_pending_packets:
                ear.drop_oldest()
        elif not sounds:
            self._tell_taken(arrival.track, track, turn)
        return sounds

    def _obey(self, notice: Notice, turn: Turn) -> None:
        if isinstance(notice, TrackOpened):
            ear = Ear(notice.codec, skips_silence=self._skips_silence)
            self._tracks[notice.track] = ListenedTrack(
                ear, Gate(self._gate_policy), self._vad.open(), notice.drops, ear.impairment
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
                    self._hear({notice.track: track}, turn)
                self._finish_frame(notice.track, track, turn)
                self._end_spurt(notice.track, track, turn)
                turn.orders.append(FlushTrack(notice.track, notice.id))
            case TrackClosed():
                self._vad.close(track.stream)
                del self._tracks[notice.track]
                self._speaking.discard(notice.track)
                turn.orders.append(CloseTrack(notice.track))

    def _hear(self, sounding: dict[int, ListenedTrack], turn: Turn) -> None:
        """Take in what the tracks have pending, one frame of each in a round, with the detector run once a round."""
        while sounding:
            chunks: list[tuple[int, ListenedTrack, tuple[Chunk, ...]]] = []
            going_on: dict[int, ListenedTrack] = {}
            for track_id, track in sounding.items():
                taking = track.ear.take(speaking=track.gate.speaking)
                self._tell(track_id, track, taking, turn)
                if taking.chunks:
                    chunks.append((track_id, track, taking.chunks))
                if taking.more:
                    going_on[track_id] = track
            self._detect(chunks, turn)
            sounding = going_on

    def _tell(self, track_id: int, track: ListenedTrack, taking: Taking, turn: Turn) -> None:
        """Tell the runner of a frame, and the track's door of everything else."""
        if taking.damage is not None:
            turn.heard.append((track_id, BadAudio(taking.damage)))
        for placed in taking.arrivals:
            packet = placed.packet
            arrived = Arrived(placed.start, placed.start + placed.samples, packet.arrived_at, packet.captured_at)
            turn.heard.append((track_id, arrived))
        for gap in taking.gaps:
            turn.heard.append((track_id, gap))
        if taking.frame is not None:
            turn.orders.append(PushFrame(track_id, taking.frame))
            track.pushed_to = max(track.pushed_to, taking.frame.end)
            self._tell_impaired(track_id, track, turn)
        if not track.drops:
            self._tell_taken(track_id, track, turn)

    def _tell_impaired(self, track_id: int, track: ListenedTrack, turn: Turn) -> None:
        impairment = track.ear.impairment
        if impairment != track.told_impairment:
            more = (now - told for now, told in zip(impairment, track.told_impairment, strict=True))
            turn.heard.append((track_id, Impaired(*more)))
            track.told_impairment = impairment

    def _tell_taken(self, track_id: int, track: ListenedTrack, turn: Turn) -> None:
        taken = track.ear.taken_samples
        if taken > track.told_taken:
            turn.heard.append((track_id, Taken(taken - track.told_taken, track.pushed_to)))
            track.told_taken = taken

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
            if not track.held and now - track.ear.newest.arrived_at > self._stalled_after_s:
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
