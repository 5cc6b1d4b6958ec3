"""What tracks are to be told with the next plan, though no step is run for it: boundaries, gaps and progress."""

from __future__ import annotations

from captions.models.backlog import Boundary
from captions.models.plan import Plan
from captions.models.scheduled_track import ScheduledTrack
from captions.types import SAMPLE_RATE, Progress

__all__ = ["Answers"]


class Answers:
    """`resolve` the boundaries that are answered, `note` the tracks that lost audio or progressed; begin a plan with
    the boundaries that you `take`, and `tell` the rest once it is made.
    """

    def __init__(self) -> None:
        self._resolved: list[tuple[int, Boundary]] = []
        self._news: dict[int, ScheduledTrack] = {}

    def resolve(self, t: ScheduledTrack, *boundaries: Boundary) -> None:
        """Nothing is owed before these any more."""
        self._resolved += [(t.id, boundary) for boundary in boundaries]

    def note(self, t: ScheduledTrack) -> None:
        """There may be something to tell the track."""
        self._news[t.id] = t

    def progressed(self, t: ScheduledTrack) -> None:
        """Audio of a track was dealt with."""
        if not t.drops:
            self.note(t)

    def forget(self, track: int) -> None:
        """The track is closed."""
        self._news.pop(track, None)
        self._resolved = [owed for owed in self._resolved if owed[0] != track]

    def take(self) -> list[tuple[int, Boundary]]:
        """The boundaries so far; they are given away."""
        resolved, self._resolved = self._resolved, []
        return resolved

    def clear(self) -> None:
        self._resolved = []
        self._news = {}

    def tell(self, plan: Plan) -> None:
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
