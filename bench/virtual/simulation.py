"""How many people a batch of lanes captions: the real scheduler in virtual time, over made-up meetings.

What is simulated:

- People talk as `bench.load.meetings` says; the gate opens `GATE_ONSET_S` after they start, and closes `hangover_s`
  after they stop, unless they go on meanwhile.
- A frame of each track arrives every 80 ms, each track at its own phase; a muted one sends nothing.
- A step takes `step_s`, however many lanes it has, and begins as soon as a lane has a frame and the last step is done.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.load.meetings import Attendee, Interval, Meeting, meetings
from captions.models.lane_policy import LanePolicy
from captions.models.plan import Plan
from captions.models.scheduler import Scheduler
from captions.types import FRAME_S, FRAME_SAMPLES, Frame, Pcm

__all__ = ["Measured", "Setting", "simulate"]

GATE_ONSET_S = 0.064
_ROUNDING = 1e-6
_NO_AUDIO: Pcm = np.zeros(FRAME_SAMPLES, np.float32)


@dataclass(frozen=True, slots=True)
class Setting:
    """A server and its rooms. The policy's defaults are those of Kyutai's 1B on a GPU."""

    lanes: int = 64
    step_s: float = 0.027
    people: int = 10
    duration_s: float = 600.0
    seed: int = 1
    flush_frames: int = 7
    preroll_frames: int = 8
    wait_frames: int = 75
    hangover_s: float = 0.8

    @property
    def policy(self) -> LanePolicy:
        return LanePolicy(
            lanes=self.lanes,
            flush_frames=self.flush_frames,
            preroll_frames=self.preroll_frames,
            wait_frames=self.wait_frames,
            feeds_silence=True,
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of so many participants; all waits in ms, over all spurts.

    `lane_wait`: from the gate's opening until the track has a lane, 0 where it still holds one. `caught_up`: from the
    gate's opening until all audio that waited has been run. `kept`: the share of spurts that still had their lane.
    `busy`: mean share of lanes that cannot be taken. `dropped_s`: audio that waited too long.
    """

    participants: int
    participants_per_lane: float
    spurts: int
    lane_wait_p50_ms: float
    lane_wait_p95_ms: float
    lane_wait_p99_ms: float
    caught_up_p50_ms: float
    caught_up_p95_ms: float
    kept: float
    busy: float
    dropped_s: float
    steps: int


@dataclass(slots=True)
class _Track:
    """One sender. Frame n is full at `phase_s` + n x 80 ms; `next_frame` is the first that was not pushed."""

    id: int
    phase_s: float
    one: Attendee
    next_frame: int = 0
    next_mute: int = 0
    opened_at: float | None = None
    has_lane: bool = False

    def due(self, now: float, at_most: int) -> Iterator[Frame]:
        """The frames that came in up to `now`, only the last `at_most` of them."""
        first, self.next_frame = self.next_frame, max(self.next_frame, self.frames_by(now))
        for number in range(max(first, self.next_frame - at_most), self.next_frame):
            full_at = self.phase_s + number * FRAME_S
            if not self._muted(full_at):
                yield Frame(number * FRAME_SAMPLES, _NO_AUDIO, full_at)

    def frames_by(self, now: float) -> int:
        return math.floor((now - self.phase_s) / FRAME_S + _ROUNDING) + 1

    def position(self, at: float) -> int:
        """The media position of the audio that comes in at that moment."""
        return round(((at - self.phase_s) / FRAME_S + 1) * FRAME_SAMPLES)

    def _muted(self, at: float) -> bool:
        mutes = self.one.mutes
        while self.next_mute < len(mutes) and mutes[self.next_mute].end_s <= at:
            self.next_mute += 1
        return self.next_mute < len(mutes) and mutes[self.next_mute].start_s < at


@dataclass(slots=True)
class _Tally:
    waits_s: list[float] = field(default_factory=list)
    caught_up_s: list[float] = field(default_factory=list)
    kept: int = 0
    busy_steps: int = 0
    steps: int = 0
    dropped_s: float = 0.0


class _Simulation:
    """Only tracks that speak, wait or hold a lane are pushed every frame: the others' frames merely pass their ring."""

    def __init__(self, held: Sequence[Meeting], setting: Setting) -> None:
        self._setting = setting
        self._scheduler = Scheduler(setting.policy)
        self._tally = _Tally()
        self._tracks: list[_Track] = []
        self._live: dict[int, _Track] = {}
        self._opened: dict[int, _Track] = {}
        chance = random.Random(setting.seed)
        gates: list[tuple[float, bool, int]] = []
        for meeting in held:
            for one in meeting.attendees:
                track = _Track(len(self._tracks), chance.uniform(0, FRAME_S), one)
                self._tracks.append(track)
                self._scheduler.open(track.id, meeting.room)
                for opens_at, closes_at in _gated(one.spurts, setting.hangover_s):
                    gates += [(opens_at, True, track.id), (closes_at, False, track.id)]
        self._gates = sorted(gates)

    def run(self) -> Measured:
        """Play everything to its end, and on until all is caught up."""
        now, next_gate = 0.0, 0
        while next_gate < len(self._gates) or self._opened:
            while next_gate < len(self._gates) and self._gates[next_gate][0] <= now:
                self._gate(*self._gates[next_gate])
                next_gate += 1
            for track in self._live.values():
                self._push(track, now)
            plan = self._scheduler.plan(now)
            self._give_up(plan, now)
            if plan.feeds:
                done_at = now + self._setting.step_s
                self._note(plan, now, done_at)
                now = done_at
            elif next_gate < len(self._gates) or self._live:
                now = self._next_event(next_gate)
        return self._measured()

    def _gate(self, at: float, opens: bool, number: int) -> None:
        track = self._tracks[number]
        self._push(track, at)
        if not opens:
            self._scheduler.speech_ended(number, track.position(at - self._setting.hangover_s))
            return
        self._live[number] = self._opened[number] = track
        track.opened_at = at
        track.has_lane = self._scheduler.holds_lane(number)
        if track.has_lane:
            self._tally.waits_s.append(0.0)
            self._tally.kept += 1
        self._scheduler.speech_started(number, at)

    def _push(self, track: _Track, now: float) -> None:
        if track.phase_s + track.next_frame * FRAME_S > now:
            return
        live = track.id in self._live
        for frame in track.due(now, 1_000_000 if live else self._setting.preroll_frames):
            self._scheduler.push(track.id, frame)

    def _give_up(self, plan: Plan, now: float) -> None:
        """Spurts of which nothing is left, for all of it has waited too long."""
        self._tally.dropped_s += sum((gap.end - gap.start) / FRAME_SAMPLES * FRAME_S for _, gap in plan.gaps)
        for number, _ in plan.flushed:
            if number in self._opened and not self._scheduler.holds_lane(number) and not self._scheduler.owes(number):
                opened_at = self._opened.pop(number).opened_at
                assert opened_at is not None
                self._tally.waits_s.append(now - opened_at)

    def _note(self, plan: Plan, now: float, done_at: float) -> None:
        tally = self._tally
        tally.steps += 1
        tally.busy_steps += self._scheduler.lanes_busy
        caught_up = {f.track for f in plan.feeds if f.closes is not None or (f.frame is not None and not f.lagging)}
        for number, track in list(self._opened.items()):
            assert track.opened_at is not None
            if not track.has_lane and self._scheduler.holds_lane(number):
                track.has_lane = True
                tally.waits_s.append(now - track.opened_at)
            if track.has_lane and number in caught_up:
                tally.caught_up_s.append(done_at - track.opened_at)
                del self._opened[number]
        if plan.resets:
            self._live = {n: t for n, t in self._live.items() if n in self._opened or self._scheduler.holds_lane(n)}

    def _next_event(self, next_gate: int) -> float:
        gate_at = self._gates[next_gate][0] if next_gate < len(self._gates) else math.inf
        return min(gate_at, min((t.phase_s + t.next_frame * FRAME_S for t in self._live.values()), default=math.inf))

    def _measured(self) -> Measured:
        tally, people = self._tally, len(self._tracks)
        waits = np.percentile(tally.waits_s or [0.0], [50, 95, 99]) * 1_000
        caught_up = np.percentile(tally.caught_up_s or [0.0], [50, 95]) * 1_000
        return Measured(
            participants=people,
            participants_per_lane=round(people / self._setting.lanes, 3),
            spurts=len(tally.waits_s),
            lane_wait_p50_ms=round(float(waits[0]), 1),
            lane_wait_p95_ms=round(float(waits[1]), 1),
            lane_wait_p99_ms=round(float(waits[2]), 1),
            caught_up_p50_ms=round(float(caught_up[0]), 1),
            caught_up_p95_ms=round(float(caught_up[1]), 1),
            kept=round(tally.kept / max(1, len(tally.waits_s)), 4),
            busy=round(tally.busy_steps / max(1, tally.steps) / self._setting.lanes, 4),
            dropped_s=round(tally.dropped_s, 2),
            steps=tally.steps,
        )


def _gated(spurts: Sequence[Interval], hangover_s: float) -> list[tuple[float, float]]:
    """When the gate opens and closes; a pause shorter than the hangover does not close it."""
    gated: list[tuple[float, float]] = []
    for spurt in spurts:
        opens_at, closes_at = spurt.start_s + min(GATE_ONSET_S, hangover_s), spurt.end_s + hangover_s
        if gated and spurt.start_s < gated[-1][1]:
            opens_at = gated.pop()[0]
        gated.append((opens_at, closes_at))
    return gated


def simulate(rooms: int, setting: Setting) -> Measured:
    """So many rooms of `setting.people` each."""
    return _Simulation(meetings(rooms, setting.people, setting.duration_s, setting.seed), setting).run()
