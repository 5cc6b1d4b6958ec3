"""What one step of the model is to do: which lanes are reset, and what each lane is fed."""

from __future__ import annotations

from dataclasses import dataclass, field

from captions.models.backlog import Boundary
from captions.types import Frame, Gap, Progress

__all__ = ["Feed", "Plan"]


@dataclass(frozen=True, slots=True)
class Feed:
    """One lane's part of a step. Without a `frame` it is fed 80 ms of silence that is on no track's clock.

    `closes` is the boundary whose flush ends with this frame.
    `lagging`: more audio waits for the lane. `lane_at`: when the track got this lane.
    """

    lane: int
    track: int
    frame: Frame | None
    closes: Boundary | None
    lagging: bool
    lane_at: float


@dataclass(slots=True)
class Plan:
    """One step: reset `resets`, then run `feeds`. `flushed` need no step: nothing was fed since the last flush.

    `live_since`: when the frames of live tracks among the feeds had arrived.
    """

    resets: list[int] = field(default_factory=list)
    feeds: list[Feed] = field(default_factory=list)
    flushed: list[tuple[int, Boundary]] = field(default_factory=list)
    gaps: list[tuple[int, Gap]] = field(default_factory=list)
    progress: list[tuple[int, Progress]] = field(default_factory=list)
    lane_waits_s: list[float] = field(default_factory=list)
    live_since: list[float] = field(default_factory=list)
    stalled: int = 0

    def __bool__(self) -> bool:
        return bool(self.resets or self.feeds or self.flushed or self.gaps or self.progress)
