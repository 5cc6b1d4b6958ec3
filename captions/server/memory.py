"""Memory that was freed and is still the process's, given back to the system."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
from contextlib import suppress

__all__ = ["Ebb", "Freed", "give_memory_back", "idle_bytes", "keep_what_is_loaded"]

_MANY_CONNECTIONS = 100
_MUCH_BYTES = 16 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Ebb:
    """Tell it now and then how much memory is idle: it knows when giving it back is worth the time."""

    def __init__(self) -> None:
        self._rest: int | None = None

    def is_over(self, idle: int) -> bool:
        """Whether much more is idle than after it was last given back, or than there ever was."""
        self._rest = idle if self._rest is None else min(self._rest, idle)
        return idle - self._rest > _MUCH_BYTES

    def given_back(self, idle: int) -> None:
        """So much is idle in spite of it: what stays is not tried for again."""
        self._rest = idle


class Freed:
    """`look` now and then, not on the event loop: giving much back takes some milliseconds.

    Python's collector stops all threads while it looks, for 0.3 ms a thousand objects that a full server has.
    """

    def __init__(self) -> None:
        self._ebb = Ebb()
        self._most_connections = 0

    def look(self, connections: int) -> None:
        """`connections`: how many there are now. Each refers to itself, so many that have gone are looked for."""
        self._most_connections = max(self._most_connections, connections)
        if self._most_connections - connections >= _MANY_CONNECTIONS:
            gc.collect()
            self._most_connections = connections
        if self._ebb.is_over(idle_bytes()):
            give_memory_back()
            self._ebb.given_back(idle_bytes())


class _Mallinfo2(ctypes.Structure):
    """mallinfo(3)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def idle_bytes() -> int:
    """Resident memory of no file in which is nothing of malloc's: what was freed, stacks, Python's small objects.

    0 where the C library cannot be asked: only glibc keeps so much that it matters.
    """
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    mallinfo2.restype = _Mallinfo2
    with open("/proc/self/statm", encoding="ascii") as statm:
        _, resident, shared, *_ = map(int, statm.read().split())
    info = mallinfo2()
    return (resident - shared) * _PAGE_BYTES - int(info.uordblks) - int(info.hblkhd)


def give_memory_back() -> None:
    """Let go of what was freed: glibc keeps the holes between what lives, for ever (malloc_trim(3))."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def keep_what_is_loaded() -> None:
    """Have Python's collector look from now on only at what comes and goes: 3 ms at a time, and not 50.

    Until the process ends: what is freed then has to be seen, or a library (soxr's) says on stderr that it leaks.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)
