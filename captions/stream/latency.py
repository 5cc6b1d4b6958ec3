"""A word's latency and its parts, computed from the moments that words carry; figures.py says what each part is.

All moments are on the server's monotonic clock, seconds; all positions are samples of the track's media clock.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from captions.types import SAMPLE_RATE, WordTiming

__all__ = ["Arrivals", "WordLatency", "word_latency"]


@dataclass(frozen=True, slots=True)
class WordLatency:
    """Where a word's time went, in seconds; the six parts, in this order, add up to `total`.

    The parts follow the last frame that the model wanted before it gave the word. The frame that holds the word's end
    may wait while the look-ahead comes in: that wait is part of `model_delay`, because a faster lane or step would not
    have brought the word sooner.
    """

    buffer: float
    model_delay: float
    lane_wait: float
    queue: float
    compute: float
    send: float

    @property
    def total(self) -> float:
        return self.buffer + self.model_delay + self.lane_wait + self.queue + self.compute + self.send


class Arrivals:
    """When each part of a track's audio arrived: the last `depth` packets, or up to twice as many."""

    def __init__(self, depth: int = 4_096) -> None:
        self._depth = depth
        self._ends: list[int] = []
        self._moments: list[float] = []

    def __bool__(self) -> bool:
        """Whether anything has arrived."""
        return bool(self._ends)

    def arrived(self, end: int, at: float) -> None:
        """Audio up to `end` had come by `at`; never less than before."""
        self._ends.append(end)
        self._moments.append(at)
        if len(self._ends) > 2 * self._depth:
            del self._ends[: -self._depth], self._moments[: -self._depth]

    def at(self, position: int) -> float:
        """When the audio at `position` arrived.

        For audio older than what is kept it is the arrival of the oldest kept. A position ahead of all audio, in a
        frame that was filled up with silence, counts as arriving when its time comes.
        """
        place = bisect_left(self._ends, position)
        if place < len(self._ends):
            return self._moments[place]
        if not self._ends:
            return 0.0
        return self._moments[-1] + (position - self._ends[-1]) / SAMPLE_RATE


def word_latency(timing: WordTiming, arrived_at: float, sent_at: float) -> WordLatency:
    """The latency of a word whose audio arrived at `arrived_at` and which leaves at `sent_at`."""
    frame_at = max(arrived_at, timing.frame_at)
    ahead_at = max(frame_at, timing.ahead_at)
    lane_at = max(ahead_at, timing.lane_at)
    step_at = max(lane_at, timing.step_at)
    emitted_at = max(step_at, timing.emitted_at)
    return WordLatency(
        buffer=frame_at - arrived_at,
        model_delay=ahead_at - frame_at,
        lane_wait=lane_at - ahead_at,
        queue=step_at - lane_at,
        compute=emitted_at - step_at,
        send=max(0.0, sent_at - emitted_at),
    )
