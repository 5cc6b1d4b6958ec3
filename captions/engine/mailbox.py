"""The inbox of a worker thread: bounded, filled by others, emptied by the worker."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

__all__ = ["Mailbox"]

T = TypeVar("T")


class Mailbox(Generic[T]):
    """`put` from any thread, which wakes the worker. It loops: `wait`, then `take` everything, until `is_closed`.

    A full mailbox refuses `audio` and nothing else: what opens, flushes or closes a track has to arrive, and comes
    seldom.
    """

    def __init__(self, most: int, audio: type[T]) -> None:
        self._most = most
        self._audio = audio
        self._items: deque[T] = deque()
        self._filled = threading.Event()
        self._closed = threading.Event()

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    def put(self, item: T) -> bool:
        """Whether there was room."""
        if len(self._items) >= self._most and isinstance(item, self._audio):
            return False
        self._items.append(item)
        if not self._filled.is_set():
            self._filled.set()
        return True

    def put_all(self, items: Sequence[T]) -> list[T]:
        """What belongs together, in order: the worker wakes when all of it is in. Returns what had no room."""
        if len(self._items) + len(items) <= self._most:
            self._items.extend(items)
            self._filled.set()
            return []
        refused = []
        for item in items:
            if len(self._items) >= self._most and isinstance(item, self._audio):
                refused.append(item)
            else:
                self._items.append(item)
        self._filled.set()
        return refused

    def take(self) -> list[T]:
        """All that has come, in order. Only the worker takes, so the items counted first are there."""
        return [self._items.popleft() for _ in range(len(self._items))]

    def wait(self, timeout_s: float | None = None) -> None:
        """Until something was put, or for so long."""
        self._filled.wait(timeout_s)
        self._filled.clear()

    def rest(self, length_s: float) -> None:
        """Let more gather for so long; returns at once when the mailbox is closed."""
        self._closed.wait(length_s)

    def close(self) -> None:
        """The worker is to end after the turn it is in."""
        self._closed.set()
        self._filled.set()
