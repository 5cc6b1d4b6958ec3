"""How late a part of the server was lately, as one figure that neither a hiccup nor a pause moves much. Pure."""

from __future__ import annotations

from math import exp

__all__ = ["Lateness"]

_OVER_S = 2.0
"""What is longer ago than a few times this counts for little."""

_MOST_AT_ONCE_S = 0.5
"""What was seen once stands for no longer than this, however long nothing was seen before."""


class Lateness:
    """Say what you `saw` as often as you like, in any unit; `recent` is its mean over the last seconds.

    The time in which nothing was seen counts as 0. One thread says, any may ask.
    """

    def __init__(self) -> None:
        self._mean = 0.0
        self._seen_at = 0.0

    def saw(self, late: float, now: float) -> None:
        since_s = now - self._seen_at
        weight = 1.0 - exp(-min(since_s, _MOST_AT_ONCE_S) / _OVER_S)
        self._mean = self._mean * exp(-since_s / _OVER_S) + late * weight
        self._seen_at = now

    def recent(self, now: float) -> float:
        return self._mean * exp(-max(0.0, now - self._seen_at) / _OVER_S)
