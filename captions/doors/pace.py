"""How fast somebody may do what costs its sender nothing and the server something."""

from __future__ import annotations

__all__ = ["Pace"]


class Pace:
    """Ask `wait_s` at each: up to `burst` at once are free, then `per_s` a second are (GCRA, as ITU-T I.371 has it)."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._interval_s = 1 / per_s
        self._burst_s = burst / per_s
        self._due_at = 0.0

    def wait_s(self, now: float, count: int = 1) -> float:
        """So many more, at `now` on the monotonic clock: how long their sender has to wait before the next."""
        self._due_at = max(self._due_at, now - self._burst_s) + count * self._interval_s
        return max(0.0, self._due_at - now)
