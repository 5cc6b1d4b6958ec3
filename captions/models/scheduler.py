"""Which track each lane serves and what it is fed next: a pure object, without model, thread or clock.

The rules (design: lanes shared by voice):

- A track waits for a lane from its first speech until everything heard is flushed.
- A waiting track takes a free lane, the readiest first; else the lane that has been silent and flushed the longest,
  whose track then has none. A lane that is heard or still owes words is never taken.
- Among waiting tracks the room that holds the fewest lanes is served first, then whoever has waited longest.
- A lane given to a new track is reset and fed `prefix_frames` of silence before its first audio; free lanes get both
  ahead of need.
- A flush feeds `flush_frames` of silence as fast as steps go; its last frame closes.
- A track that waits keeps at most `backlog_frames`; beyond that its oldest audio is dropped and told as a gap.
- A lane that hears `stall_frames` of speech without a word is reset once and hears them again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from captions.types import Frame, Gap, Progress

__all__ = ["Feed", "Flush", "LanePolicy", "Plan", "Scheduler"]


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """The figures the rules speak of; all but `lanes` are counted in frames of 80 ms.

    `feeds_silence`: a lane in use also hears its track's silence; otherwise it is frozen until the next speech.
    `stall_frames` = 0 turns the watchdog off. `flush_frames` is at least 1: a flush closes on a step.
    """

    lanes: int
    prefix_frames: int = 0
    flush_frames: int = 1
    preroll_frames: int = 8
    backlog_frames: int = 250
    stall_frames: int = 0
    feeds_silence: bool = False


@dataclass(frozen=True, slots=True)
class Flush:
    """A hard boundary behind the audio pushed so far. `id` is the client's, or None at the end of speech."""

    id: str | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """One lane's part of a step. `frame` None is 80 ms of silence on no clock: prefix or flush.

    `track` is None for a free lane that is made ready. `closes` is the flush that ends with this frame.
    `lane_at`: when the track got this lane.
    """

    lane: int
    track: int | None
    frame: Frame | None
    closes: Flush | None
    lagging: bool
    lane_at: float


@dataclass(slots=True)
class Plan:
    """One step: reset `resets`, then run `feeds`. `flushed` need no step: nothing was heard since the last flush."""

    resets: list[int] = field(default_factory=list)
    feeds: list[Feed] = field(default_factory=list)
    flushed: list[tuple[int, Flush]] = field(default_factory=list)
    gaps: list[tuple[int, Gap]] = field(default_factory=list)
    progress: list[tuple[int, Progress]] = field(default_factory=list)
    lane_waits_s: list[float] = field(default_factory=list)
    stalled: int = 0

    def __bool__(self) -> bool:
        return bool(self.resets or self.feeds or self.flushed or self.gaps or self.progress)


@dataclass(slots=True, eq=False)
class _Lane:
    index: int
    track: _Track | None = None
    fresh: bool = False
    prefix_left: int = 0
    flushing: Flush | None = None
    flush_left: int = 0
    heard: bool = False
    silent_since: float | None = None
    lane_at: float = 0.0
    unanswered: deque[Frame] = field(default_factory=deque)
    replayed: bool = False


@dataclass(slots=True, eq=False)
class _Track:
    id: int
    room: str
    queue: deque[Frame | Flush] = field(default_factory=deque)
    preroll: deque[Frame] = field(default_factory=deque)
    frames: int = 0
    flushes: int = 0
    speaking: bool = False
    waiting_since: float | None = None
    lane: _Lane | None = None
    dropped: Gap | None = None
    drops: bool = True
    taken_to: int = 0
    told_to: int = 0

    @property
    def owes(self) -> bool:
        """Speech that was not run through a lane yet, or is still coming."""
        return self.speaking or self.flushes > 0


class Scheduler:
    """Call `open`, then `push`, `speech_started`, `speech_ended` and `flush` as the track is heard, `close` at its end.

    Between calls, `plan` says what to run; run all of it before the next `plan`, and report words with `answered`.
    """

    def __init__(self, policy: LanePolicy) -> None:
        if policy.lanes < 1 or policy.flush_frames < 1:
            raise ValueError("a scheduler needs at least one lane and one frame to flush with")
        self.policy = policy
        self._tracks: dict[int, _Track] = {}
        self._lanes = [_Lane(i) for i in range(policy.lanes)]
        self._resolved: list[tuple[int, Flush]] = []

    @property
    def tracks(self) -> list[int]:
        return list(self._tracks)

    @property
    def lanes_in_use(self) -> int:
        return sum(lane.track is not None for lane in self._lanes)

    @property
    def lanes_busy(self) -> int:
        """Lanes that cannot be taken: their track speaks or is owed words."""
        return sum(lane.track is not None and lane.silent_since is None for lane in self._lanes)

    @property
    def waiting(self) -> int:
        return sum(track.waiting_since is not None for track in self._tracks.values())

    def open(self, track: int, room: str, drops: bool = True) -> None:
        """A new track. One that never `drops` audio is told its progress instead, so that its sender can hold back."""
        self._tracks[track] = _Track(track, room, deque(), deque(maxlen=self.policy.preroll_frames), drops=drops)

    def close(self, track: int) -> None:
        """Forget a track and everything it still owes; unknown tracks are ignored."""
        gone = self._tracks.pop(track, None)
        if gone is not None and gone.lane is not None:
            self._release(gone.lane)

    def push(self, track: int, frame: Frame) -> None:
        """The next frame of a track, in order. Unknown tracks are ignored: a close may overtake their audio."""
        t = self._tracks.get(track)
        if t is None:
            return
        if t.speaking or (t.lane is not None and self.policy.feeds_silence):
            t.queue.append(frame)
            t.frames += 1
            self._bound(t)
        else:
            t.preroll.append(frame)
            t.taken_to = frame.end

    def speech_started(self, track: int, now: float) -> None:
        t = self._tracks.get(track)
        if t is None or t.speaking:
            return
        t.speaking = True
        t.queue.extend(t.preroll)
        t.frames += len(t.preroll)
        t.preroll.clear()
        if t.lane is not None:
            t.lane.silent_since = None
            t.lane.replayed = False
        elif t.waiting_since is None:
            t.waiting_since = now

    def speech_ended(self, track: int) -> None:
        t = self._tracks.get(track)
        if t is not None and t.speaking:
            t.speaking = False
            self._queue_flush(t, Flush())

    def flush(self, track: int, flush_id: str) -> None:
        """A boundary the client asked for; answered by `Plan.flushed` or a closing feed."""
        t = self._tracks.get(track)
        if t is not None:
            self._queue_flush(t, Flush(flush_id))

    def answered(self, track: int) -> None:
        """The model said something for the track's speech: the watchdog starts counting anew."""
        t = self._tracks.get(track)
        if t is not None and t.lane is not None:
            t.lane.unanswered.clear()

    def abandon(self) -> list[tuple[int, Flush]]:
        """Nothing will be run any more: forget all audio; returns the flushes that were still owed."""
        owed = [*self._resolved]
        for t in self._tracks.values():
            if t.lane is not None and t.lane.flushing is not None:
                owed.append((t.id, t.lane.flushing))
            owed += [(t.id, item) for item in t.queue if isinstance(item, Flush)]
            t.queue.clear()
            t.frames = t.flushes = 0
        for lane in self._lanes:
            self._release(lane)
        return owed

    def plan(self, now: float) -> Plan:
        plan = Plan(flushed=self._resolved)
        self._resolved = []
        for t in self._served_first():
            lane = self._lane_to_give()
            if lane is None:
                break
            plan.lane_waits_s.append(now - (t.waiting_since or now))
            self._grant(lane, t, now)
        for lane in self._lanes:
            if lane.track is not None:
                self._plan_lane(lane, lane.track, now, plan)
        self._make_ready(plan, now)
        for t in self._tracks.values():
            if t.dropped is not None:
                plan.gaps.append((t.id, t.dropped))
                t.dropped = None
            if not t.drops and t.taken_to > t.told_to:
                plan.progress.append((t.id, Progress(t.taken_to)))
                t.told_to = t.taken_to
        return plan

    def _queue_flush(self, t: _Track, flush: Flush) -> None:
        if t.lane is None and not t.queue and not t.speaking:
            self._resolved.append((t.id, flush))
            return
        t.queue.append(flush)
        t.flushes += 1

    def _bound(self, t: _Track) -> None:
        while t.drops and t.frames > self.policy.backlog_frames:
            oldest = t.queue.popleft()
            if isinstance(oldest, Flush):
                t.flushes -= 1
                self._resolved.append((t.id, oldest))
                continue
            t.frames -= 1
            start = oldest.start if t.dropped is None else t.dropped.start
            t.dropped = Gap(start, oldest.end, "overload")

    def _served_first(self) -> Iterator[_Track]:
        held: dict[str, int] = {}
        waiting = []
        for t in self._tracks.values():
            if t.lane is not None and t.lane.silent_since is None:
                held[t.room] = held.get(t.room, 0) + 1
            elif t.waiting_since is not None:
                waiting.append(t)
        while waiting:
            chosen = min(waiting, key=lambda t: (held.get(t.room, 0), t.waiting_since))
            waiting.remove(chosen)
            held[chosen.room] = held.get(chosen.room, 0) + 1
            yield chosen

    def _lane_to_give(self) -> _Lane | None:
        free = [lane for lane in self._lanes if lane.track is None]
        if free:
            return min(free, key=lambda lane: (not lane.fresh, lane.prefix_left))
        silent = [lane for lane in self._lanes if lane.silent_since is not None]
        return min(silent, key=lambda lane: lane.silent_since or 0.0, default=None)

    def _grant(self, lane: _Lane, t: _Track, now: float) -> None:
        if lane.track is not None:
            self._release(lane)
        lane.track, t.lane = t, lane
        lane.lane_at = now
        t.waiting_since = None

    def _release(self, lane: _Lane) -> None:
        if lane.track is not None:
            lane.track.lane = None
        lane.track = None
        lane.fresh = False
        lane.heard = lane.replayed = False
        lane.flushing, lane.flush_left = None, 0
        lane.silent_since = None
        lane.unanswered.clear()

    def _reset(self, lane: _Lane, plan: Plan) -> None:
        plan.resets.append(lane.index)
        lane.fresh = True
        lane.prefix_left = self.policy.prefix_frames

    def _plan_lane(self, lane: _Lane, t: _Track, now: float, plan: Plan) -> None:
        if not lane.fresh:
            self._reset(lane, plan)
        if lane.prefix_left:
            lane.prefix_left -= 1
            plan.feeds.append(Feed(lane.index, t.id, None, None, t.frames > 0, lane.lane_at))
            return
        while lane.flushing is None and t.queue:
            item = t.queue.popleft()
            if isinstance(item, Frame):
                t.frames -= 1
                self._hear(lane, t, item, plan)
                return
            t.flushes -= 1
            if lane.heard:
                lane.flushing, lane.flush_left = item, self.policy.flush_frames
            else:
                plan.flushed.append((t.id, item))
                self._settle(lane, t, now)
        if lane.flushing is not None:
            lane.flush_left -= 1
            closes = lane.flushing if lane.flush_left == 0 else None
            plan.feeds.append(Feed(lane.index, t.id, None, closes, t.frames > 0, lane.lane_at))
            if closes is not None:
                lane.flushing = None
                lane.heard = False
                lane.unanswered.clear()
                self._settle(lane, t, now)

    def _hear(self, lane: _Lane, t: _Track, frame: Frame, plan: Plan) -> None:
        plan.feeds.append(Feed(lane.index, t.id, frame, None, t.frames > 0, lane.lane_at))
        t.taken_to = frame.end
        if lane.silent_since is not None:
            return
        lane.heard = True
        if not self.policy.stall_frames or lane.replayed:
            return
        lane.unanswered.append(frame)
        if len(lane.unanswered) > self.policy.stall_frames:
            t.queue.extendleft(reversed(lane.unanswered))
            t.frames += len(lane.unanswered)
            lane.unanswered.clear()
            lane.fresh, lane.replayed = False, True
            plan.stalled += 1

    def _settle(self, lane: _Lane, t: _Track, now: float) -> None:
        if not t.owes:
            lane.silent_since = now

    def _make_ready(self, plan: Plan, now: float) -> None:
        """Reset and prime free lanes: along with other lanes where a row is free, else only when nobody is heard."""
        if plan.feeds and not self.policy.feeds_silence:
            return
        for lane in self._lanes:
            if lane.track is not None or (lane.fresh and not lane.prefix_left):
                continue
            if not lane.fresh:
                self._reset(lane, plan)
            if lane.prefix_left:
                lane.prefix_left -= 1
                plan.feeds.append(Feed(lane.index, None, None, None, False, now))
