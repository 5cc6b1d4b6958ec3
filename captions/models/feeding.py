"""What each lane is fed in a step: its track's frames, and the silence of a flush, by the rules of scheduler.py."""

from __future__ import annotations

from collections.abc import Sequence

from captions.models.answers import Answers
from captions.models.backlog import Boundary
from captions.models.lane_policy import LanePolicy
from captions.models.lanes import Lane, LaneState
from captions.models.plan import Feed, Plan
from captions.models.scheduled_track import ScheduledTrack
from captions.types import Frame

__all__ = ["Feeding"]

_STALE, _HEARD, _FLUSHING = LaneState.STALE, LaneState.HEARD, LaneState.FLUSHING


class Feeding:
    """`feed` every lane that has a track, one frame a step, then `make_ready` those that have none."""

    def __init__(self, policy: LanePolicy, answers: Answers) -> None:
        self._policy = policy
        self._answers = answers

    def feed(self, lane: Lane, t: ScheduledTrack, now: float, plan: Plan) -> None:
        backlog, stall_frames = t.backlog, self._policy.stall_frames
        if stall_frames and len(lane.unanswered) >= stall_frames and lane.state is _HEARD:
            # Asked only after the step that fed the last frame: its word may have come with that very step.
            backlog.put_back(lane.stall())
            plan.stalled += 1
        if lane.called_back and lane.state is _HEARD:
            lane.begin_flush(Boundary(parts=True), self._policy.flush_frames)
        if lane.state is _STALE:
            _reset(lane, plan)
        while lane.state is not _FLUSHING and (item := backlog.pop()) is not None:
            if isinstance(item, Frame):
                lane.feed(item, stall_frames > 0)
                if t.live:
                    plan.live_since.append(item.arrived_at)
                plan.feeds.append(Feed(lane.index, t.id, item, None, backlog.frames > 0, lane.lane_at))
                self._answers.progressed(t)
                return
            if lane.state is _HEARD:
                lane.begin_flush(item, self._policy.flush_frames)
            else:
                plan.flushed.append((t.id, item))
                _settle(lane, t, now)
        if lane.state is _FLUSHING:
            closes = lane.flush()
            plan.feeds.append(Feed(lane.index, t.id, None, closes, backlog.frames > 0, lane.lane_at))
            if closes is not None:
                _settle(lane, t, now)

    def make_ready(self, lanes: Sequence[Lane], plan: Plan) -> None:
        """Reset free lanes: in any step where silent rows cost nothing, else only when no track is fed."""
        if plan.feeds and not self._policy.feeds_silence:
            return
        for lane in lanes:
            if lane.track is None and lane.state is _STALE:
                _reset(lane, plan)


def _reset(lane: Lane, plan: Plan) -> None:
    plan.resets.append(lane.index)
    lane.reset()


def _settle(lane: Lane, t: ScheduledTrack, now: float) -> None:
    if not t.owes:
        lane.rest(now)
