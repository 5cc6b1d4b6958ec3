"""The scheduler's part of a track: what waits to be run for it, and what it is to be told."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from captions.models.backlog import Backlog
from captions.types import Frame, Gap

if TYPE_CHECKING:
    from captions.models.lanes import Lane

__all__ = ["ScheduledTrack"]


@dataclass(slots=True, eq=False)
class ScheduledTrack:
    """`preroll`: the silence just before, which is run only once speech follows. `waiting_since`: speech needs a lane.

    `live`: it is not ahead of its time. `dropped`: gaps that it is still to be told of. `pushed_to`: where its audio
    ends; `told_to`: the progress it knows.
    """

    id: int
    room: str
    drops: bool
    preroll: deque[Frame]
    backlog: Backlog = field(default_factory=Backlog)
    live: bool = True
    speaking: bool = False
    waiting_since: float | None = None
    lane: Lane | None = None
    dropped: list[Gap] = field(default_factory=list)
    pushed_to: int = 0
    told_to: int = 0

    @property
    def owes(self) -> bool:
        """Speech that was not run through a lane yet, or is still coming."""
        return self.speaking or self.backlog.boundaries > 0

    @property
    def taken_to(self) -> int:
        """Where the audio begins that is still to be run, or else ends."""
        oldest = self.backlog.oldest
        return self.pushed_to if oldest is None else oldest.start

    def queue_preroll(self) -> None:
        for frame in self.preroll:
            self.backlog.push(frame)
        self.preroll.clear()

    def keep_as_preroll(self) -> None:
        """Empty the backlog of silence."""
        self.preroll.extend(item for item in self.backlog.clear() if isinstance(item, Frame))

    def drop_oldest(self) -> None:
        """Give up the frame that waits longest: a gap, one with the gap just before it."""
        frame = self.backlog.drop_oldest()
        if self.dropped and frame.start <= self.dropped[-1].end:
            self.dropped[-1] = Gap(self.dropped[-1].start, frame.end, "overload")
        else:
            self.dropped.append(Gap(frame.start, frame.end, "overload"))
