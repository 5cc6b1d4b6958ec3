"""Which track each lane serves, and who waits for one. The rules are those of scheduler.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from captions.models.answers import Answers
from captions.models.lane_policy import LanePolicy
from captions.models.lanes import Lane, LaneState
from captions.models.plan import Plan
from captions.models.scheduled_track import ScheduledTrack

__all__ = ["Allotment"]

LIVE_SHARE = 4
"""One lane in so many is kept from files."""

_STALE, _HEARD, _FLUSHING, _RESTING = LaneState.STALE, LaneState.HEARD, LaneState.FLUSHING, LaneState.RESTING


class Allotment:
    """Have a track `wait`, and in every plan `collect` the lanes that were called back, and `serve` those who wait."""

    def __init__(self, policy: LanePolicy, answers: Answers) -> None:
        self._policy = policy
        self._answers = answers
        self._most_files = policy.lanes - policy.lanes // LIVE_SHARE
        self._waiting: dict[int, ScheduledTrack] = {}
        self.lanes = [Lane(index, policy.flush_frames) for index in range(policy.lanes)]

    @property
    def in_use(self) -> int:
        """Lanes that have a track."""
        return sum(lane.track is not None for lane in self.lanes)

    @property
    def busy(self) -> int:
        """Lanes that cannot be taken: their track speaks or is owed words."""
        return sum(lane.is_busy for lane in self.lanes)

    @property
    def live_share(self) -> float:
        """The share of lanes that cannot be taken for a live track; 1 while one waits."""
        if any(t.live for t in self._waiting.values()):
            return 1.0
        return sum(lane.is_busy and not _is_files(lane) for lane in self.lanes) / len(self.lanes)

    @property
    def waiting(self) -> int:
        """How many tracks wait for a lane."""
        return len(self._waiting)

    def waits(self) -> Iterator[ScheduledTrack]:
        """The tracks that wait; they may be told meanwhile that they wait no more."""
        return iter(tuple(self._waiting.values()))

    def wait(self, t: ScheduledTrack, now: float) -> None:
        t.waiting_since = now
        self._waiting[t.id] = t

    def wait_no_more(self, t: ScheduledTrack) -> None:
        t.waiting_since = None
        self._waiting.pop(t.id, None)

    def clear(self) -> None:
        """Nobody has a lane, and nobody waits for one."""
        for lane in self.lanes:
            lane.release()
        for t in self._waiting.values():
            t.waiting_since = None
        self._waiting.clear()

    def collect(self, now: float) -> None:
        """Take the lanes that were called back and are flushed: a plan later, as its resets go before its feeds."""
        for lane in self.lanes:
            if lane.called_back and lane.track is not None and lane.state not in (_HEARD, _FLUSHING):
                self._part(lane, lane.track, now)

    def serve(self, now: float, plan: Plan) -> None:
        """Give lanes to those who wait."""
        self._give(now, plan)
        self._call_back()
        self.collect(now)
        self._give(now, plan)

    def _give(self, now: float, plan: Plan) -> None:
        """Give lanes to waiting tracks while there are any to give."""
        held = Counter(lane.track.room for lane in self.lanes if lane.track is not None and lane.is_busy)
        files = sum(lane.is_busy and _is_files(lane) for lane in self.lanes)
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
            self._grant(lane, t, now)

    def _call_back(self) -> None:
        """Call back as many lanes of files as live tracks wait for, less those that are called back already."""
        wanted = sum(t.live for t in self._waiting.values()) - sum(lane.called_back for lane in self.lanes)
        for lane in self.lanes:
            if wanted > 0 and lane.is_busy and _is_files(lane) and not lane.called_back:
                lane.called_back = True
                wanted -= 1

    def _lane_to_give(self) -> Lane | None:
        free = [lane for lane in self.lanes if lane.track is None]
        if free:
            return min(free, key=lambda lane: lane.state is _STALE)
        return self._longest_resting()

    def _longest_resting(self) -> Lane | None:
        resting = (lane for lane in self.lanes if lane.state is _RESTING)
        return min(resting, key=lambda lane: lane.resting_since, default=None)

    def _grant(self, lane: Lane, t: ScheduledTrack, now: float) -> None:
        if lane.track is not None:
            self._take_back(lane)
        lane.grant(t, now)
        self.wait_no_more(t)
        if self._policy.feeds_silence:
            t.queue_preroll()

    def _take_back(self, lane: Lane) -> None:
        if lane.track is not None:
            self._answers.progressed(lane.track)
        lane.release()

    def _part(self, lane: Lane, t: ScheduledTrack, now: float) -> None:
        """The track of a lane that was called back leaves it, and waits for another if it still owes anything."""
        self._answers.resolve(t, *t.backlog.pop_leading_boundaries())
        if not t.owes:
            self._take_back(lane)
            return
        lane.part()
        self.wait(t, now)


def _is_files(lane: Lane) -> bool:
    return lane.track is not None and not lane.track.live
