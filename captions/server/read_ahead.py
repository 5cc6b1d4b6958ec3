"""What was read of a connection ahead of its handler, in bytes, and when to read no further. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

__all__ = ["ReadAhead"]

_HIGH_BYTES = 512 << 10
_LOW_BYTES = 128 << 10
_PIECE_BYTES = 256
"""What a piece of a message takes beside its data."""


class ReadAhead:
    """`came` for every piece of a message, `taken` for every message that the handler takes.

    Reading is paused above the high mark and goes on below the low one, rather than at one bound, because a single read
    may bring thousands of messages: those have to be kept. It is never paused in the middle of the only message, which
    the handler cannot take before its last piece has come.
    """

    def __init__(self, pause: Callable[[], object], resume: Callable[[], object]) -> None:
        self._pause = pause
        self._resume = resume
        self._paused = False
        self._whole: deque[int] = deque()
        self._under_way = 0
        self._bytes = 0

    def came(self, size: int, *, last: bool) -> None:
        """A piece of a message; `last`: it is whole with it."""
        self._bytes += size + _PIECE_BYTES
        self._under_way += size + _PIECE_BYTES
        if last:
            self._whole.append(self._under_way)
            self._under_way = 0
        if self._bytes > _HIGH_BYTES and self._whole and not self._paused:
            self._paused = True
            self._pause()

    def taken(self) -> None:
        """The handler has taken the oldest whole message."""
        self._bytes -= self._whole.popleft()
        if self._paused and (self._bytes <= _LOW_BYTES or not self._whole):
            self._paused = False
            self._resume()
