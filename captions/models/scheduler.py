"""Which track each lane serves and what it is fed next: a pure object, without model, thread or clock.

The rules (design: lanes shared by voice):

- A track waits for a lane from its first speech until everything heard is flushed.
- A waiting track takes a free lane, the readiest first; else the lane that has been silent and flushed the longest,
  whose track then has none. A lane that is heard or still owes words is never taken.
- Among waiting tracks the room that holds the fewest busy lanes is served first, then whoever has waited longest.
- A lane given to a new track is reset and fed `prefix_frames` of silence before its first audio; free lanes get both
  ahead of need. `spare_lanes` are kept free for that, taken from the longest silent.
- A flush feeds `flush_frames` of silence as fast as steps go, less what the lane has heard; its last frame closes.
- A track that may drop audio keeps at most `backlog_frames`, and while it has no lane only what came in within
  `wait_frames`; older audio is dropped and told as a gap. So the lag of an overload ends soon after it.
- A lane that hears `stall_frames` of speech without a word is reset and hears them again, once until the next word.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from captions.models.lanes import Feed, Flush, Lane, Plan, Track
from captions.types import FRAME_S, SAMPLE_RATE, Frame, Progress

__all__ = ["Feed", "Flush", "LanePolicy", "Plan", "Scheduler"]


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """The figures the rules speak of; all but the lanes are counted in frames of 80 ms.

    `feeds_silence`: a lane in use also hears its track's silence; otherwise it is frozen until the next speech.
    `stall_frames` = 0 turns the watchdog off. `flush_frames` is at least 1: a flush closes on a step.
    """

    lanes: int
    prefix_frames: int = 0
    flush_frames: int = 1
    preroll_frames: int = 8
    backlog_frames: int = 250
    wait_frames: int = 75
    stall_frames: int = 0
    feeds_silence: bool = False
    spare_lanes: int = 0


class Scheduler:
    """Call `open`, then `push`, `speech_started`, `speech_ended` and `flush` as the track is heard, `close` at its end.

    Between calls, `plan` says what to run; run all of it, report words with `answered`, and only then `plan` again.
    A plan costs time for lanes and for tracks that wait, not for tracks that are silent.

    Raises:
        ValueError: the policy has no lane, nothing to flush with, or a backlog smaller than the pre-roll.
    """

    def __init__(self, policy: LanePolicy) -> None:
        if policy.lanes < 1 or policy.flush_frames < 1:
            raise ValueError("a scheduler needs at least one lane and one frame to flush with")
        if policy.backlog_frames < max(1, policy.preroll_frames):
            raise ValueError("a backlog holds at least the pre-roll and one frame")
        self.policy = policy
        self._tracks: dict[int, Track] = {}
        self._waiting: dict[int, Track] = {}
        self._news: dict[int, Track] = {}
        self._lanes = [Lane(i, fed_last=deque(maxlen=policy.flush_frames)) for i in range(policy.lanes)]
        self._resolved: list[tuple[int, Flush]] = []
        self._latest = Plan()

    @property
    def tracks(self) -> list[int]:
        return list(self._tracks)

    @property
    def lanes_in_use(self) -> int:
        return sum(lane.track is not None for lane in self._lanes)

    @property
    def lanes_busy(self) -> int:
        """Lanes that cannot be taken: their track speaks or is owed words."""
        return sum(lane.busy for lane in self._lanes)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def owes(self, track: int) -> bool:
        """Whether speech of the track is still to be run."""
        t = self._tracks.get(track)
        return t is not None and (t.owes or t.waiting_since is not None)

    def holds_lane(self, track: int) -> bool:
        t = self._tracks.get(track)
        return t is not None and t.lane is not None

    def open(self, track: int, room: str, drops: bool = True) -> None:
        """A new track. One that never `drops` audio is told its progress instead, so that its sender can hold back."""
        self.close(track)
        self._tracks[track] = Track(track, room, drops, deque(maxlen=self.policy.preroll_frames))

    def close(self, track: int) -> None:
        """Forget a track and everything it still owes; unknown tracks are ignored."""
        gone = self._tracks.pop(track, None)
        if gone is None:
            return
        self._waiting.pop(track, None)
        self._news.pop(track, None)
        self._resolved = [owed for owed in self._resolved if owed[0] != track]
        if gone.lane is not None:
            gone.lane.release()

    def push(self, track: int, frame: Frame) -> None:
        """The next frame of a track, in order. Unknown tracks are ignored: a close may overtake their audio."""
        t = self._tracks.get(track)
        if t is None:
            return
        t.pushed_to = frame.end
        if t.speaking or (t.lane is not None and self.policy.feeds_silence):
            t.queue.append(frame)
            t.frames += 1
            self._bound(t)
        else:
            t.preroll.append(frame)
            self._tell_progress(t)

    def speech_started(self, track: int, now: float) -> None:
        """Speech goes on until `speech_ended`; it began within the audio pushed last."""
        t = self._tracks.get(track)
        if t is None or t.speaking:
            return
        t.speaking = True
        t.queue_preroll()
        self._bound(t)
        if t.lane is not None:
            t.lane.silent_since = None
        elif t.waiting_since is None:
            t.waiting_since = now
            self._waiting[track] = t

    def speech_ended(self, track: int, at: int | None = None) -> None:
        """No speech is behind the audio pushed so far, or behind position `at`; answered as a flush without id."""
        t = self._tracks.get(track)
        if t is not None and t.speaking:
            t.speaking = False
            self._queue_flush(t, Flush(None, at))

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
            t.lane.replayed = False

    def abandon(self) -> list[tuple[int, Flush]]:
        """The latest plan was not run and nothing will be any more: forget all audio; returns the flushes owed."""
        plan = self._latest
        owed = plan.flushed + [(f.track, f.closes) for f in plan.feeds if f.track is not None and f.closes is not None]
        owed += self._resolved
        for t in self._tracks.values():
            if t.lane is not None and t.lane.flushing is not None:
                owed.append((t.id, t.lane.flushing))
            owed += [(t.id, item) for item in t.queue if isinstance(item, Flush)]
            t.forget_queue()
            t.waiting_since = None
        for lane in self._lanes:
            lane.release()
        self._waiting.clear()
        self._news.clear()
        self._resolved, self._latest = [], Plan()
        return owed

    def plan(self, now: float) -> Plan:
        """What to run now; nothing, if it is false."""
        plan = self._latest = Plan(flushed=self._resolved)
        self._resolved = []
        if self._waiting:
            self._serve(now, plan)
            self._drop_stale(now)
        if self.policy.spare_lanes:
            self._keep_spares()
        for lane in self._lanes:
            if lane.track is not None:
                self._plan_lane(lane, lane.track, now, plan)
        self._make_ready(plan, now)
        self._tell_news(plan)
        return plan

    def _tell_news(self, plan: Plan) -> None:
        """A track that waits loses a frame every 80 ms: it is told of a second at once, or before a boundary."""
        news, self._news = self._news, {}
        bounded = {track for track, _ in (*plan.flushed, *self._resolved)}
        for t in news.values():
            waits = t.waiting_since is not None and t.id not in bounded
            if waits and 0 < sum(gap.end - gap.start for gap in t.dropped) < SAMPLE_RATE:
                self._news[t.id] = t
                continue
            plan.gaps += [(t.id, gap) for gap in t.dropped]
            t.dropped.clear()
            if not t.drops and t.taken_to > t.told_to:
                t.told_to = t.taken_to
                plan.progress.append((t.id, Progress(t.told_to)))

    def _queue_flush(self, t: Track, flush: Flush) -> None:
        """Answer at once what nothing is owed for, so that a flush never keeps or waits for a lane in vain."""
        unheard = t.lane is None and not t.frames
        if unheard or (t.lane is not None and t.lane.silent_since is not None):
            self._resolved.append((t.id, flush))
            if unheard and not t.speaking:
                t.waiting_since = None
                self._waiting.pop(t.id, None)
            return
        t.queue.append(flush)
        t.flushes += 1

    def _bound(self, t: Track) -> None:
        if not t.drops or t.frames <= self.policy.backlog_frames:
            return
        while t.frames > self.policy.backlog_frames:
            t.drop_oldest()
        self._tell_dropped(t)

    def _drop_stale(self, now: float) -> None:
        stale_before = now - self.policy.wait_frames * FRAME_S
        for t in tuple(self._waiting.values()):
            if not t.drops or t.waiting_since is None or t.waiting_since >= stale_before:
                continue
            frames = t.frames
            while t.frames and t.oldest.arrived_at < stale_before:
                t.drop_oldest()
            if t.frames < frames:
                self._tell_dropped(t)

    def _tell_dropped(self, t: Track) -> None:
        """And answer the boundaries of which nothing is left, if the track waits; it does not wait for nothing."""
        self._news[t.id] = t
        if t.lane is not None:
            return
        while t.queue and isinstance(first := t.queue[0], Flush):
            t.queue.popleft()
            t.flushes -= 1
            self._resolved.append((t.id, first))
        if not t.owes:
            t.waiting_since = None
            self._waiting.pop(t.id, None)

    def _tell_progress(self, t: Track) -> None:
        if not t.drops:
            self._news[t.id] = t

    def _serve(self, now: float, plan: Plan) -> None:
        """Give lanes to waiting tracks while there are any to give."""
        held = Counter(lane.track.room for lane in self._lanes if lane.track is not None and lane.busy)
        while self._waiting and (lane := self._lane_to_give()) is not None:
            since, t = min(
                ((t.waiting_since or 0.0, t) for t in self._waiting.values()),
                key=lambda waiting: (held[waiting[1].room], waiting[0]),
            )
            held[t.room] += 1
            plan.lane_waits_s.append(now - since)
            del self._waiting[t.id]
            self._grant(lane, t, now)

    def _lane_to_give(self) -> Lane | None:
        free = [lane for lane in self._lanes if lane.track is None]
        if free:
            return min(free, key=lambda lane: (not lane.fresh, lane.prefix_left))
        return self._longest_silent()

    def _longest_silent(self) -> Lane | None:
        silent = ((lane.silent_since, lane) for lane in self._lanes if lane.silent_since is not None)
        _, lane = min(silent, key=lambda one: one[0], default=(0.0, None))
        return lane

    def _grant(self, lane: Lane, t: Track, now: float) -> None:
        if lane.track is not None:
            self._take_back(lane)
        lane.track, t.lane = t, lane
        lane.lane_at = now
        t.waiting_since = None
        if self.policy.feeds_silence:
            t.queue_preroll()

    def _take_back(self, lane: Lane) -> None:
        if lane.track is not None:
            self._tell_progress(lane.track)
        lane.release()

    def _plan_lane(self, lane: Lane, t: Track, now: float, plan: Plan) -> None:
        if lane.flushing is None and self._has_stalled(lane):
            t.requeue(lane.unanswered)
            lane.unanswered.clear()
            lane.fresh, lane.replayed = False, True
            plan.stalled += 1
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
                lane.flushing, lane.flush_left = item, max(1, self.policy.flush_frames - lane.silence_behind(item))
            else:
                plan.flushed.append((t.id, item))
                self._settle(lane, t, now)
        if lane.flushing is not None:
            lane.flush_left -= 1
            closes = lane.flushing if lane.flush_left == 0 else None
            plan.feeds.append(Feed(lane.index, t.id, None, closes, t.frames > 0, lane.lane_at))
            if closes is not None:
                lane.flushing = None
                lane.forget_heard()
                self._settle(lane, t, now)

    def _hear(self, lane: Lane, t: Track, frame: Frame, plan: Plan) -> None:
        plan.feeds.append(Feed(lane.index, t.id, frame, None, t.frames > 0, lane.lane_at))
        self._tell_progress(t)
        lane.fed_last.append(frame.start)
        if lane.silent_since is None:
            lane.heard = True
            if self.policy.stall_frames and not lane.replayed:
                lane.unanswered.append(frame)

    def _has_stalled(self, lane: Lane) -> bool:
        """Asked only after the step that fed the last frame: its word may have come with that very step."""
        return 0 < self.policy.stall_frames <= len(lane.unanswered)

    def _settle(self, lane: Lane, t: Track, now: float) -> None:
        if not t.owes:
            lane.silent_since = now

    def _reset(self, lane: Lane, plan: Plan) -> None:
        plan.resets.append(lane.index)
        lane.fresh = True
        lane.prefix_left = self.policy.prefix_frames
        lane.fed_last.clear()

    def _keep_spares(self) -> None:
        """Under load every lane is held by somebody; what is taken early can be primed before it is needed."""
        free = sum(lane.track is None for lane in self._lanes)
        while free < self.policy.spare_lanes and (lane := self._longest_silent()) is not None:
            self._take_back(lane)
            free += 1

    def _make_ready(self, plan: Plan, now: float) -> None:
        """Reset and prime free lanes: along with other lanes where a row is free, else only when nobody is heard."""
        if plan.feeds and not self.policy.feeds_silence:
            return
        for lane in self._lanes:
            if lane.track is None and not lane.ready:
                if not lane.fresh:
                    self._reset(lane, plan)
                if lane.prefix_left:
                    lane.prefix_left -= 1
                    plan.feeds.append(Feed(lane.index, None, None, None, False, now))
