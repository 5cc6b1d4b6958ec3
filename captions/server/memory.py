"""Memory that a rush of tracks has left behind, given back to the system."""

from __future__ import annotations

import ctypes
from contextlib import suppress

__all__ = ["give_memory_back"]


def give_memory_back() -> None:
    """Let go of what was freed: glibc keeps the holes between what lives, for ever (malloc_trim(3)).

    Some milliseconds; for when no track is open. Other C libraries have no such call and need none.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
