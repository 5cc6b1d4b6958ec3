"""The thread that hears: it turns the packets of all tracks into frames and spurts.

- A turn takes in what has come since the last one, in rounds (rounds.py) that say who goes first when there is more
  than a turn has time for.
- It ends after `TURN_S` with the round it is in. What is left comes first in the next one, behind new packets.
- What is told of a track, a flush or its end, waits until the audio before it was taken in.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

from captions.engine.lateness import Lateness
from captions.engine.listened_track import ListenedTrack
from captions.engine.mailbox import Mailbox
from captions.engine.orders import (
    AudioEnded,
    CloseTrack,
    FlushAsked,
    FlushTrack,
    Notice,
    OpenTrack,
    PacketArrived,
    SenderHeld,
    SenderReleased,
    TrackClosed,
    TrackMuted,
    TrackOpened,
    Turn,
)
from captions.engine.rounds import GATHER_S, Rounds
from captions.engine.spurts import Spurts
from captions.engine.worker import Worker, describe, whereabouts
from captions.stream.ear import Ear
from captions.vad.gate import GatePolicy
from captions.vad.silero import SileroVad

__all__ = ["TURN_S", "Listener"]

log = logging.getLogger(__name__)

TURN_S = 0.02
"""What a turn takes at most, but for the round it is in: nothing is delivered before it ends."""

PAUSE_S, MANY_TRACKS = 0.01, 100
"""The least time between two turns, in which packets gather so that the detector runs on many tracks at once. With many
tracks it is twice that: a call of the detector costs as much for one as for four, and the wait is 5 ms more.
"""


class Listener:
    """Call `start`, then `tell` from any thread; `deliver` is called on the listener's thread. `stop` ends it.

    After an error `failure` says what happened, and nothing is heard any more; `worker` says whether it stands still,
    and `lateness` how long live audio waits here (seconds).

    `turn` is one round of work and may be called by hand instead of `start`. At most `max_notices` wait for the next.
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
        pause_s: float = PAUSE_S,
    ) -> None:
        self._deliver = deliver
        self._clock = clock
        self._skips_silence = skips_silence
        self._pause_s = pause_s
        self._tracks: dict[int, ListenedTrack] = {}
        self._spurts = Spurts(vad, gate)
        self._rounds = Rounds(self._spurts, clock, self._take_later, most_pending_s)
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
        return self._spurts.streams

    @property
    def has_rest(self) -> bool:
        """The latest turn has left audio for the next."""
        return len(self._rounds) > 0

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
                if not self._rounds:
                    self._inbox.wait(self._wait_s)
                self.worker.busy()
                turn = self.turn()
                if turn.orders or turn.heard:
                    self._deliver(turn)
                self.worker.waits()
                self._inbox.rest(self._pause_s * (2 if len(self._tracks) > MANY_TRACKS else 1))
        except Exception as error:  # noqa: BLE001 -- whatever it is, nobody hears anything any more
            self.failure = describe(error)
            log.error("the listener failed", extra={"reason": self.failure, "in": whereabouts(error)})

    @property
    def _wait_s(self) -> float | None:
        """How long to wait at most for something to come: what has come may want looking after."""
        if self._rounds.gathers:
            return GATHER_S
        return self._spurts.stalled_after_s / 4 if self._spurts.under_way else None

    def turn(self) -> Turn:
        """Hear what has come in since the last turn, as far as there is time."""
        turn = Turn([], [])
        until = self._clock() + TURN_S
        oldest_at = self._left_since
        tracks, rounds = self._tracks, self._rounds
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
                rounds.add(track)
            elif track.ear.gathering:
                rounds.gather(track, packet.arrived_at)
            else:
                track.tell_taken(turn)
        self._taken_bytes += taken_bytes
        rounds.hear(until, turn)
        self._left_bytes = rounds.pending_bytes
        now = self._clock()
        self._spurts.end_stalled(now, tracks, rounds, turn)
        if oldest_at < now:
            self.lateness.saw(now - oldest_at, now)
        self._left_since = rounds.late_since(now)
        return turn

    def _push(self, track: ListenedTrack, arrival: PacketArrived, turn: Turn) -> None:
        if track.ear.push(arrival.packet):
            self._rounds.add(track)
        elif track.ear.gathering:
            self._rounds.gather(track, arrival.packet.arrived_at)
        else:
            track.tell_taken(turn)

    def _take(self, notice: Notice, turn: Turn) -> None:
        """Obey a notice, unless it is to wait for audio."""
        if isinstance(notice, FlushAsked | AudioEnded | TrackMuted) and notice.track in self._rounds:
            self._tracks[notice.track].later.append(notice)
        else:
            self._obey(notice, turn)

    def _take_later(self, track: ListenedTrack, turn: Turn) -> None:
        """All audio of a track was taken in: go on with what was told of it behind that, up to more audio."""
        while track.later and track.id not in self._rounds:
            notice = track.later.popleft()
            if isinstance(notice, PacketArrived):
                self._push(track, notice, turn)
            else:
                self._obey(notice, turn)
        while track.later and isinstance(next_one := track.later[0], PacketArrived):
            self._push(track, next_one, turn)
            track.later.popleft()

    def _obey(self, notice: Notice, turn: Turn) -> None:
        if isinstance(notice, TrackOpened):
            ear = Ear(notice.codec, skips_silence=self._skips_silence, counts=not notice.drops)
            self._tracks[notice.track] = ListenedTrack(notice, ear, *self._spurts.open())
            turn.orders.append(OpenTrack(notice.track, notice.room, notice.drops))
            return
        track = self._tracks.get(notice.track)
        if track is None:
            return
        match notice:
            case TrackMuted():
                if track.ear.gathering:
                    self._rounds.hear_all(track, turn)
                self._spurts.end(track, turn)
            case SenderHeld():
                track.held = True
            case SenderReleased():
                track.held = False
            case FlushAsked():
                self._rounds.finish_frame(track, turn)
                turn.orders.append(FlushTrack(track.id, notice.id))
            case AudioEnded():
                if track.ear.end():
                    self._rounds.hear_all(track, turn)
                self._rounds.finish_frame(track, turn)
                self._spurts.end(track, turn)
                turn.orders.append(FlushTrack(track.id, notice.id))
            case TrackClosed():
                del self._tracks[track.id]
                self._rounds.forget(track)
                self._spurts.close(track)
                turn.orders.append(CloseTrack(track.id))
