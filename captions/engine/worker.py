"""A worker thread that may die or stand still, and whoever watches it sees that."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

__all__ = ["Worker", "describe", "whereabouts"]

_FRAMES_SHOWN = 8


class Worker:
    """`start` has `run` called on a daemon thread, which says when it is `busy` and when it `waits`.

    A daemon, because a thread that never comes back must not keep the process from ending. `clock` is monotonic.
    """

    def __init__(self, name: str, run: Callable[[], None], clock: Callable[[], float]) -> None:
        self._thread = threading.Thread(target=run, name=name, daemon=True)
        self._clock = clock
        self._busy_since: float | None = None

    def start(self) -> None:
        self._thread.start()

    def busy(self) -> None:
        """It begins something that must come to an end."""
        self._busy_since = self._clock()

    def waits(self) -> None:
        """It waits for something to do."""
        self._busy_since = None

    def busy_for(self, now: float) -> float:
        """The seconds that what it is at has taken so far; 0 while it waits."""
        since = self._busy_since
        return 0.0 if since is None else now - since

    def join(self, timeout_s: float) -> bool:
        """Wait for its end. False: it does not end."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()


def describe(error: Exception) -> str:
    """What may be told of an error that nobody foresaw: its kind alone, as its text may hold what somebody said."""
    return f"an error that was not foreseen: {type(error).__name__}"


def whereabouts(error: Exception) -> str:
    """Where it was raised, for the log, and by which calls: the innermost first."""
    frames = traceback.extract_tb(error.__traceback__)[::-1][:_FRAMES_SHOWN]
    return ", called by ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in frames)
