"""The thread that hears: packets of all tracks in, frames and spurts out, the detector run once for all of them.

It takes whatever has come in since its last turn, a frame a track and round, so that one track's flood cannot keep the
others waiting, and a spurt's start is never far from the frames around it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from msgspec import Struct

from captions.engine.runner import CloseTrack, FlushTrack, OpenTrack, Order, PushFrame, Speech
from captions.stream.decode import AudioError, Decoder
from captions.stream.ear import CHUNK_SPAN, Chunk, Ear
from captions.stream.timeline import Packet
from captions.types import Gap
from captions.vad.gate import Gate, GatePolicy, SpurtEnded, SpurtStarted
from captions.vad.silero import SileroVad

__all__ = [
    "Arrived",
    "BadAudio",
    "Close",
    "Finish",
    "Flush",
    "Heard",
    "Impaired",
    "Listener",
    "Mute",
    "Notice",
    "Open",
    "Pace",
    "Sound",
    "Taken",
    "Turn",
]


@dataclass(slots=True)
class Pace:
    """Who gives way when a track has more audio than can be heard.

    `drops`: its oldest audio goes. Else its sender waits, and its connection says when it is `held` back, so that its
    silence is not taken for an end.
    """

    drops: bool
    held: bool = False


STALL_MARGIN_S = 0.2
"""How much longer than the gate's hangover nothing may come from a track in the middle of a spurt."""


@dataclass(frozen=True, slots=True)
class Open:
    track: int
    room: str
    decoder: Decoder
    pace: Pace


class Sound(Struct, frozen=True, gc=False):
    track: int
    packet: Packet


@dataclass(frozen=True, slots=True)
class Mute:
    track: int


@dataclass(frozen=True, slots=True)
class Flush:
    track: int
    id: str


@dataclass(frozen=True, slots=True)
class Finish:
    """No more audio will come: end the spurt under way, then flush with this id."""

    track: int
    id: str


@dataclass(frozen=True, slots=True)
class Close:
    track: int


Notice: TypeAlias = Open | Sound | Mute | Flush | Finish | Close
"""What the connections tell the listener, in order."""


class Arrived(Struct, frozen=True, gc=False):
    """A track's audio from media position `start` to `end` had come by `at`; see `Packet` for `captured_at`."""

    start: int
    end: int
    at: float
    captured_at: float | None


@dataclass(frozen=True, slots=True)
class BadAudio:
    """A packet that could not be decoded."""

    message: str


@dataclass(frozen=True, slots=True)
class Taken:
    """Of a track whose sender waits: packets of `samples` were taken in, and frames up to `pushed_to` handed on."""

    samples: int
    pushed_to: int


@dataclass(frozen=True, slots=True)
class Impaired:
    """What the network spoilt: packets dropped because they came `late` or `repeated`, samples lost and `concealed`."""

    late: int
    repeated: int
    concealed: int


Heard: TypeAlias = Arrived | SpurtStarted | SpurtEnded | BadAudio | Taken | Impaired | Gap
"""What the listener tells a track's connection, in order."""


@dataclass(slots=True)
class Turn:
    """What one turn came to: orders for the model, news for the connections."""

    orders: list[Order]
    heard: list[tuple[int, Heard]]


@dataclass(slots=True)
class _Track:
    ear: Ear
    gate: Gate
    stream: int
    pace: Pace
    pushed_to: int = 0
    told_taken: int = 0
    told_impaired: tuple[int, int, int] = (0, 0, 0)


class Listener:
    """Call `start`, then `tell` from any thread; `deliver` is called on the listener's thread. `stop` ends it.

    `turn` is one round of work and may be called by hand instead of `start`. `pause_s` is the least time between two
    turns: it lets packets of many tracks gather, so that the detector runs on all of them at once.
    """

    def __init__(
        self,
        vad: SileroVad,
        gate: GatePolicy,
        deliver: Callable[[Turn], None],
        clock: Callable[[], float],
        *,
        max_pending_packets: int = 1_000,
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
        self._tracks: dict[int, _Track] = {}
        self._inbox: deque[Notice] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def tell(self, notices: Iterable[Notice]) -> None:
        self._inbox.extend(notices)
        if not self._wake.is_set():
            self._wake.set()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._stalled_after_s / 4 if self._speaking else None)
            self._wake.clear()
            turn = self.turn()
            if turn.orders or turn.heard:
                self._deliver(turn)
            self._stopping.wait(self._pause_s)

    def turn(self) -> Turn:
        """Hear everything that has come in since the last turn."""
        turn = Turn([], [])
        sounding: dict[int, _Track] = {}
        for _ in range(len(self._inbox)):
            notice = self._inbox.popleft()
            if isinstance(notice, Sound):
                track = self._tracks.get(notice.track)
                if track is not None and self._queue(track, notice, turn):
                    sounding[notice.track] = track
                continue
            if notice.track in sounding:
                self._hear({notice.track: sounding.pop(notice.track)}, turn)
            self._obey(notice, turn)
        self._hear(sounding, turn)
        self._end_stalled(self._clock(), turn)
        return turn

    def _queue(self, track: _Track, sound: Sound, turn: Turn) -> bool:
        """Whether there is something to hear."""
        ear = track.ear
        awake = ear.push(sound.packet)
        if track.pace.drops:
            if awake and ear.timeline.pending > self._max_pending_packets:
                ear.drop_oldest()
        elif not awake:
            self._tell_taken(sound.track, track, turn)
        return awake

    def _obey(self, notice: Notice, turn: Turn) -> None:
        if isinstance(notice, Open):
            ear = Ear(notice.decoder, skips_silence=self._skips_silence)
            self._tracks[notice.track] = _Track(ear, Gate(self._gate_policy), self._vad.open(), notice.pace)
            turn.orders.append(OpenTrack(notice.track, notice.room, notice.pace.drops))
            return
        track = self._tracks.get(notice.track)
        if track is None:
            return
        match notice:
            case Mute():
                self._end_spurt(notice.track, track, turn)
            case Flush():
                self._finish_frame(notice.track, track, turn)
                turn.orders.append(FlushTrack(notice.track, notice.id))
            case Finish():
                if track.ear.end():
                    self._hear({notice.track: track}, turn)
                self._finish_frame(notice.track, track, turn)
                self._end_spurt(notice.track, track, turn)
                turn.orders.append(FlushTrack(notice.track, notice.id))
            case Close():
                self._vad.close(track.stream)
                del self._tracks[notice.track]
                self._speaking.discard(notice.track)
                turn.orders.append(CloseTrack(notice.track))

    def _hear(self, sounding: dict[int, _Track], turn: Turn) -> None:
        """Take in what the tracks have pending, a frame each a round, and let the detector hear each round."""
        while sounding:
            for track_id, track in sounding.items():
                self._advance(track_id, track, turn)
            self._detect(sounding, turn)
            sounding = {track_id: track for track_id, track in sounding.items() if not track.ear.is_done}

    def _advance(self, track_id: int, track: _Track, turn: Turn) -> None:
        ear = track.ear
        frame = None
        try:
            frame = ear.advance()
        except AudioError as error:
            turn.heard.append((track_id, BadAudio(str(error))))
        for sound in ear.arrivals:
            packet = sound.packet
            arrived = Arrived(sound.start, sound.start + sound.samples, packet.arrived_at, packet.captured_at)
            turn.heard.append((track_id, arrived))
        ear.arrivals.clear()
        if ear.gaps:
            turn.heard += [(track_id, gap) for gap in ear.gaps]
            ear.gaps.clear()
        if frame is not None:
            turn.orders.append(PushFrame(track_id, frame))
            track.pushed_to = max(track.pushed_to, frame.end)
            self._tell_impaired(track_id, track, turn)
        if not track.pace.drops:
            self._tell_taken(track_id, track, turn)

    def _tell_impaired(self, track_id: int, track: _Track, turn: Turn) -> None:
        impaired = (track.ear.timeline.late, track.ear.timeline.repeated, track.ear.concealed)
        if impaired != track.told_impaired:
            more = (now - told for now, told in zip(impaired, track.told_impaired, strict=True))
            turn.heard.append((track_id, Impaired(*more)))
            track.told_impaired = impaired

    def _tell_taken(self, track_id: int, track: _Track, turn: Turn) -> None:
        taken = track.ear.taken_samples
        if taken > track.told_taken:
            turn.heard.append((track_id, Taken(taken - track.told_taken, track.pushed_to)))
            track.told_taken = taken

    def _detect(self, sounding: dict[int, _Track], turn: Turn) -> None:
        while True:
            ready: list[tuple[int, _Track, Chunk]] = []
            for track_id, track in sounding.items():
                chunk = track.ear.chunk()
                if chunk is not None:
                    if chunk.fresh:
                        self._vad.reset(track.stream)
                    ready.append((track_id, track, chunk))
            if not ready:
                return
            probabilities = self._vad.probabilities(
                [track.stream for _, track, _ in ready], np.stack([chunk.pcm for _, _, chunk in ready])
            )
            for (track_id, track, chunk), probability in zip(ready, probabilities.tolist(), strict=True):
                spurt = track.gate.push(probability, chunk.start, chunk.start + CHUNK_SPAN)
                if spurt is not None:
                    self._turn_gate(track_id, track, spurt, turn)

    def _end_stalled(self, now: float, turn: Turn) -> None:
        """End the spurts of tracks from which nothing comes any more: muted without a word, or a dead network."""
        for track_id in tuple(self._speaking):
            track = self._tracks[track_id]
            if not track.pace.held and now - track.ear.newest.arrived_at > self._stalled_after_s:
                self._end_spurt(track_id, track, turn)

    def _finish_frame(self, track_id: int, track: _Track, turn: Turn) -> None:
        frame = track.ear.finish(self._clock())
        if frame is not None:
            turn.orders.append(PushFrame(track_id, frame))
            self._tell_impaired(track_id, track, turn)
            self._detect({track_id: track}, turn)

    def _end_spurt(self, track_id: int, track: _Track, turn: Turn) -> None:
        spurt = track.gate.close(track.ear.position)
        if spurt is not None:
            self._turn_gate(track_id, track, spurt, turn)
        else:
            self._vad.reset(track.stream)

    def _turn_gate(self, track_id: int, track: _Track, spurt: SpurtStarted | SpurtEnded, turn: Turn) -> None:
        """A detector that remembers a voice takes the breath behind it for another: behind a spurt it starts afresh."""
        turn.heard.append((track_id, spurt))
        track.ear.speaking = isinstance(spurt, SpurtStarted)
        if track.ear.speaking:
            self._speaking.add(track_id)
            turn.orders.append(Speech(track_id, True))
        else:
            self._speaking.discard(track_id)
            self._vad.reset(track.stream)
            turn.orders.append(Speech(track_id, False, spurt.at))
