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

from collections import deque

from captions.models.allotment import Allotment
from captions.models.answers import Answers
from captions.models.backlog import Boundary
from captions.models.feeding import Feeding
from captions.models.lane_policy import LanePolicy
from captions.models.lanes import LaneState
from captions.models.plan import Plan
from captions.models.scheduled_track import ScheduledTrack
from captions.types import FRAME_S, Frame

__all__ = ["Scheduler"]

_RESTING = LaneState.RESTING


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
        self._tracks: dict[int, ScheduledTrack] = {}
        self._answers = Answers()
        self._allotment = Allotment(policy, self._answers)
        self._feeding = Feeding(policy, self._answers)
        self._latest = Plan()

    @property
    def tracks(self) -> list[int]:
        return list(self._tracks)

    @property
    def lanes_in_use(self) -> int:
        return self._allotment.in_use

    @property
    def lanes_busy(self) -> int:
        """Lanes that cannot be taken: their track speaks or is owed words."""
        return self._allotment.busy

    @property
    def waiting(self) -> int:
        return self._allotment.waiting

    @property
    def live_share(self) -> float:
        """The share of lanes that cannot be taken for a live track; 1 while one waits."""
        return self._allotment.live_share

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
        self._allotment.wait_no_more(gone)
        self._answers.forget(track)
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
            self._answers.progressed(t)

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
            self._allotment.wait(t, now)

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
        owed += self._answers.take()
        owed = [(track, boundary) for track, boundary in owed if not boundary.parts]
        for t in self._tracks.values():
            if t.lane is not None and t.lane.boundary is not None and not t.lane.boundary.parts:
                owed.append((t.id, t.lane.boundary))
            owed += [(t.id, item) for item in t.backlog.clear() if isinstance(item, Boundary)]
        self._allotment.clear()
        self._answers.clear()
        self._latest = Plan()
        return owed

    def plan(self, now: float) -> Plan:
        """What to run now; nothing, if it is false."""
        self._allotment.collect(now)
        plan = self._latest = Plan(flushed=self._answers.take())
        if self._allotment.waiting:
            self._allotment.serve(now, plan)
            self._drop_stale(now)
        lanes = self._allotment.lanes
        for lane in lanes:
            if lane.track is not None:
                self._feeding.feed(lane, lane.track, now, plan)
        self._feeding.make_ready(lanes, plan)
        self._answers.tell(plan)
        return plan

    def _mark(self, t: ScheduledTrack, boundary: Boundary) -> None:
        """Answer at once what nothing is owed for, so that a boundary never keeps or waits for a lane in vain."""
        unheard = t.lane is None and not t.backlog.frames
        if unheard or (t.lane is not None and t.lane.state is _RESTING):
            self._answers.resolve(t, boundary)
            if unheard and not t.speaking:
                self._allotment.wait_no_more(t)
            return
        t.backlog.mark(boundary)

    def _bound(self, t: ScheduledTrack) -> None:
        if not t.drops or t.backlog.frames <= self.policy.backlog_frames:
            return
        while t.backlog.frames > self.policy.backlog_frames:
            t.drop_oldest()
        self._tell_dropped(t)

    def _drop_stale(self, now: float) -> None:
        stale_before = now - self.policy.wait_frames * FRAME_S
        for t in self._allotment.waits():
            if not t.drops or t.waiting_since is None or t.waiting_since >= stale_before:
                continue
            frames = t.backlog.frames
            while (oldest := t.backlog.oldest) is not None and oldest.arrived_at < stale_before:
                t.drop_oldest()
            if t.backlog.frames < frames:
                self._tell_dropped(t)

    def _tell_dropped(self, t: ScheduledTrack) -> None:
        """And answer the boundaries of which nothing is left, if the track waits; it does not wait for nothing."""
        self._answers.note(t)
        if t.lane is not None:
            return
        self._answers.resolve(t, *t.backlog.pop_leading_boundaries())
        if not t.owes:
            self._allotment.wait_no_more(t)
