"""Memory that a rush of tracks has left behind, given back to the system."""

from __future__ import annotations

import ctypes
from contextlib import suppress

__all__ = ["Ebb", "give_memory_back"]

_MUCH = 100


class Ebb:
    """Tell it now and then how many tracks are open and how many have been: it knows when a rush of them is over."""

    def __init__(self) -> None:
        self._high = 0
        self._opened = 0

    def is_over(self, tracks: int, opened: int) -> bool:
        """Whether many fewer are open than since this last said so, or none after there were some."""
        self._high = max(self._high, tracks)
        over = self._high - tracks >= _MUCH or (not tracks and (self._high > 0 or opened > self._opened))
        if over:
            self._high, self._opened = tracks, opened
        return over


def give_memory_back() -> None:
    """Let go of what was freed: glibc keeps the holes between what lives, for ever (malloc_trim(3)).

    Some milliseconds, without the GIL, so not on the event loop. Other C libraries have no such call and need none.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
