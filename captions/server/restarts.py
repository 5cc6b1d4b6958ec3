"""When a process that has ended is started anew, and when it is given up. Pure."""

from __future__ import annotations

__all__ = ["Restarts"]

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 30.0
_WELL_AFTER_S = 60.0
_MOST_IN_A_ROW = 6


class Restarts:
    """One process's. Ask at each of its ends how long to `wait_s` before it is started anew.

    The first time it is started at once, then after twice as long each time. Who has run for a minute has recovered.
    """

    def __init__(self) -> None:
        self._in_a_row = 0

    def wait_s(self, ran_s: float) -> float | None:
        """It ended after so long; None: it has failed too often in a row."""
        if ran_s >= _WELL_AFTER_S:
            self._in_a_row = 0
        self._in_a_row += 1
        if self._in_a_row > _MOST_IN_A_ROW:
            return None
        return min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** (self._in_a_row - 1))
