"""Which track each lane serves and what it is fed next: a pure object, without model, thread or clock.

The rules:

- A track waits for a lane from its first speech until everything heard is flushed.
- A waiting track takes a free lane, one that is reset first; else the lane that has rested the longest, whose track
  then has none. A lane whose live track speaks or is owed words is never taken.
- A track that is ahead of its time, a file, goes behind the live ones, and all files together leave one lane in four.
  If a live track waits all the same, the lane of a file is called back: what it has heard is flushed, the rest of its
  audio waits for another lane, and nothing is lost.
- Among waiting tracks the room that holds the fewest busy lanes is served first, then whoever has waited longest.
- A lane given to a new track is reset before its first audio; a free lane ahead of need.
- A flush feeds `flush_frames` of silence as fast as steps go, less the silence that the lane was fed before; its last
  frame closes.
- A track that may drop audio keeps at most `backlog_frames`. While it has no lane it keeps only what came in within
  `wait_frames`: older audio is dropped and told as a gap, so that the lag of an overload ends soon after it.
- A lane that is fed `stall_frames` of speech without a word is reset and fed them again, once until the next word.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from captions.models.backlog import Boundary
from captions.models.lanes import Lane, LaneState
from captions.models.plan import Feed, Plan
from captions.models.scheduled_track import ScheduledTrack
from captions.types import FRAME_S, SAMPLE_RATE, Frame, Progress

__all__ = ["LanePolicy", "Scheduler"]

LIVE_SHARE = 4
"""One lane in so many is kept from files."""

_STALE, _HEARD, _FLUSHING, _RESTING = LaneState.STALE, LaneState.HEARD, LaneState.FLUSHING, LaneState.RESTING


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """The figures the rules speak of; all but the lanes are counted in frames of 80 ms.

    `feeds_silence`: a lane in use is fed its track's silence, too; otherwise it is frozen until the next speech.
    `stall_frames` = 0 turns the watchdog off. `flush_frames` is at least 1: a flush closes on a step.
    """

    lanes: int
    flush_frames: int = 1
    preroll_frames: int = 8
    backlog_frames: int = 250
    wait_frames: int = 75
    stall_frames: int = 0
    feeds_silence: bool = False


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
        self._stall_frames = policy.stall_frames
        self._most_files = policy.lanes - policy.lanes // LIVE_SHARE
        self._tracks: dict[int, ScheduledTrack] = {}
        self._waiting: dict[int, ScheduledTrack] = {}
        self._news: dict[int, ScheduledTrack] = {}
        self._lanes = [Lane(index, policy.flush_frames) for index in range(policy.lanes)]
        self._resolved: list[tuple[int, Boundary]] = []
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
        return sum(lane.is_busy for lane in self._lanes)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def live_share(self) -> float:
        """The share of lanes that cannot be taken for a live track; 1 while one waits."""
        if any(t.live for t in self._waiting.values()):
            return 1.0
        return sum(lane.is_busy and not _is_files(lane) for lane in self._lanes) / len(self._lanes)

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
        self._tracks[track] = ScheduledTrack(track, room, drops, deque(maxlen=self.policy.preroll_frames))

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
            t.backlog.push(frame)
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
            t.lane.wake()
        elif t.waiting_since is None:
            t.waiting_since = now
            self._waiting[track] = t

    def speech_ended(self, track: int, at: int | None = None) -> None:
        """No speech is behind the audio pushed so far, or behind position `at`; answered as a flush without id."""
        t = self._tracks.get(track)
        if t is not None and t.speaking:
            t.speaking = False
            self._mark(t, Boundary(None, at))

    def flush(self, track: int, flush_id: str) -> None:
        """A boundary the client asked for; answered by `Plan.flushed` or a closing feed."""
        t = self._tracks.get(track)
        if t is not None:
            self._mark(t, Boundary(flush_id))

    def rank(self, track: int, *, live: bool) -> None:
        """Whether the track is in its time or ahead of it. A new one is live."""
        t = self._tracks.get(track)
        if t is not None:
            t.live = live
            if live and t.lane is not None:
                t.lane.called_back = False

    def answered(self, track: int) -> None:
        """The model said something for the track's speech: the watchdog starts counting anew."""
        t = self._tracks.get(track)
        if t is not None and t.lane is not None:
            t.lane.answered()

    def abandon(self) -> list[tuple[int, Boundary]]:
        """The latest plan was not run and nothing will be any more: forget all audio; returns the flushes owed."""
        plan = self._latest
        owed = plan.flushed + [(f.track, f.closes) for f in plan.feeds if f.track is not None and f.closes is not None]
        owed += self._resolved
        owed = [(track, boundary) for track, boundary in owed if not boundary.parts]
        for t in self._tracks.values():
            if t.lane is not None and t.lane.boundary is not None and not t.lane.boundary.parts:
                owed.append((t.id, t.lane.boundary))
            owed += [(t.id, item) for item in t.backlog.clear() if isinstance(item, Boundary)]
            t.waiting_since = None
        for lane in self._lanes:
            lane.release()
        self._waiting.clear()
        self._news.clear()
        self._resolved, self._latest = [], Plan()
        return owed

    def plan(self, now: float) -> Plan:
        """What to run now; nothing, if it is false."""
        self._collect(now)
        plan = self._latest = Plan(flushed=self._resolved)
        self._resolved = []
        if self._waiting:
            self._serve(now, plan)
            self._drop_stale(now)
        for lane in self._lanes:
            if lane.track is not None:
                self._plan_lane(lane, lane.track, now, plan)
        self._make_ready(plan)
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

    def _mark(self, t: ScheduledTrack, boundary: Boundary) -> None:
        """Answer at once what nothing is owed for, so that a boundary never keeps or waits for a lane in vain."""
        unheard = t.lane is None and not t.backlog.frames
        if unheard or (t.lane is not None and t.lane.state is _RESTING):
            self._resolved.append((t.id, boundary))
            if unheard and not t.speaking:
                self._wait_no_more(t)
            return
        t.backlog.mark(boundary)

    def _wait_no_more(self, t: ScheduledTrack) -> None:
        t.waiting_since = None
        self._waiting.pop(t.id, None)

    def _bound(self, t: ScheduledTrack) -> None:
        if not t.drops or t.backlog.frames <= self.policy.backlog_frames:
            return
        while t.backlog.frames > self.policy.backlog_frames:
            t.drop_oldest()
        self._tell_dropped(t)

    def _drop_stale(self, now: float) -> None:
        stale_before = now - self.policy.wait_frames * FRAME_S
        for t in tuple(self._waiting.values()):
            if not t.drops or t.waiting_since is None or t.waiting_since >= stale_before:
                continue
            frames = t.backlog.frames
            while (oldest := t.backlog.oldest) is not None and oldest.arrived_at < stale_before:
                t.drop_oldest()
            if t.backlog.frames < frames:
                self._tell_dropped(t)

    def _tell_dropped(self, t: ScheduledTrack) -> None:
        """And answer the boundaries of which nothing is left, if the track waits; it does not wait for nothing."""
        self._news[t.id] = t
        if t.lane is not None:
            return
        self._resolved += [(t.id, boundary) for boundary in t.backlog.pop_leading_boundaries()]
        if not t.owes:
            self._wait_no_more(t)

    def _tell_progress(self, t: ScheduledTrack) -> None:
        if not t.drops:
            self._news[t.id] = t

    def _collect(self, now: float) -> None:
        """Take the lanes that were called back and are flushed: a plan later, as its resets go before its feeds."""
        for lane in self._lanes:
            if lane.called_back and lane.track is not None and lane.state not in (_HEARD, _FLUSHING):
                self._part(lane, lane.track, now)

    def _serve(self, now: float, plan: Plan) -> None:
        self._give(now, plan)
        self._call_back()
        self._collect(now)
        self._give(now, plan)

    def _give(self, now: float, plan: Plan) -> None:
        """Give lanes to waiting tracks while there are any to give."""
        held = Counter(lane.track.room for lane in self._lanes if lane.track is not None and lane.is_busy)
        files = sum(lane.is_busy and _is_files(lane) for lane in self._lanes)
        while self._waiting and (lane := self._lane_to_give()) is not None:
            since, t = min(
                ((t.waiting_since or 0.0, t) for t in self._waiting.values()),
                key=lambda waiting: (not waiting[1].live, held[waiting[1].room], waiting[0]),
            )
            if not t.live and files >= self._most_files:
                break
            files += not t.live
            held[t.room] += 1
            plan.lane_waits_s.append(now - since)
            del self._waiting[t.id]
            self._grant(lane, t, now)

    def _call_back(self) -> None:
        """Call back as many lanes of files as live tracks wait for, less those that are called back already."""
        wanted = sum(t.live for t in self._waiting.values()) - sum(lane.called_back for lane in self._lanes)
        for lane in self._lanes:
            if wanted > 0 and lane.is_busy and _is_files(lane) and not lane.called_back:
                lane.called_back = True
                wanted -= 1

    def _lane_to_give(self) -> Lane | None:
        free = [lane for lane in self._lanes if lane.track is None]
        if free:
            return min(free, key=lambda lane: lane.state is _STALE)
        return self._longest_resting()

    def _longest_resting(self) -> Lane | None:
        resting = (lane for lane in self._lanes if lane.state is _RESTING)
        return min(resting, key=lambda lane: lane.resting_since, default=None)

    def _grant(self, lane: Lane, t: ScheduledTrack, now: float) -> None:
        if lane.track is not None:
            self._take_back(lane)
        lane.grant(t, now)
        t.waiting_since = None
        if self.policy.feeds_silence:
            t.queue_preroll()

    def _take_back(self, lane: Lane) -> None:
        if lane.track is not None:
            self._tell_progress(lane.track)
        lane.release()

    def _plan_lane(self, lane: Lane, t: ScheduledTrack, now: float, plan: Plan) -> None:
        backlog = t.backlog
        if self._stall_frames and len(lane.unanswered) >= self._stall_frames and lane.state is _HEARD:
            # Asked only after the step that fed the last frame: its word may have come with that very step.
            backlog.put_back(lane.stall())
            plan.stalled += 1
        if lane.called_back and lane.state is _HEARD:
            lane.begin_flush(Boundary(parts=True), self.policy.flush_frames)
        if lane.state is _STALE:
            self._reset(lane, plan)
        while lane.state is not _FLUSHING and (item := backlog.pop()) is not None:
            if isinstance(item, Frame):
                lane.feed(item, self._stall_frames > 0)
                if t.live:
                    plan.live_since.append(item.arrived_at)
                plan.feeds.append(Feed(lane.index, t.id, item, None, backlog.frames > 0, lane.lane_at))
                self._tell_progress(t)
                return
            if lane.state is _HEARD:
                lane.begin_flush(item, self.policy.flush_frames)
            else:
                plan.flushed.append((t.id, item))
                self._settle(lane, t, now)
        if lane.state is _FLUSHING:
            closes = lane.flush()
            plan.feeds.append(Feed(lane.index, t.id, None, closes, backlog.frames > 0, lane.lane_at))
            if closes is not None:
                self._settle(lane, t, now)

    def _part(self, lane: Lane, t: ScheduledTrack, now: float) -> None:
        """The track of a lane that was called back leaves it, and waits for another if it still owes anything."""
        self._resolved += [(t.id, boundary) for boundary in t.backlog.pop_leading_boundaries()]
        if not t.owes:
            self._take_back(lane)
            return
        lane.part()
        t.waiting_since = now
        self._waiting[t.id] = t

    def _settle(self, lane: Lane, t: ScheduledTrack, now: float) -> None:
        if not t.owes:
            lane.rest(now)

    def _reset(self, lane: Lane, plan: Plan) -> None:
        plan.resets.append(lane.index)
        lane.reset()

    def _make_ready(self, plan: Plan) -> None:
        """Reset free lanes: in any step where silent rows cost nothing, else only when no track is fed."""
        if plan.feeds and not self.policy.feeds_silence:
            return
        for lane in self._lanes:
            if lane.track is None and lane.state is _STALE:
                self._reset(lane, plan)


def _is_files(lane: Lane) -> bool:
    return lane.track is not None and not lane.track.live
