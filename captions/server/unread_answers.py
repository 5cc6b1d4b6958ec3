"""Plain HTTP answers that wait to be read: anybody may ask for them, without a key, so they are bounded together."""

from __future__ import annotations

__all__ = ["UnreadAnswer", "UnreadAnswers"]

_SMALL_BYTES = 16 << 10
"""A socket takes so much at once: health, readiness and errors are never refused, whoever asks for what besides."""


class UnreadAnswer:
    """One that is under way; `gone` once it is read or its connection lost."""

    def __init__(self, answers: UnreadAnswers, size: int) -> None:
        self._answers = answers
        self._size = size

    def gone(self) -> None:
        self._answers.unread_bytes -= self._size
        self._size = 0


class UnreadAnswers:
    """At most `most_bytes` under way, which is as many answers as are no smaller than a socket's buffer."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.unread_bytes = 0

    @property
    def share(self) -> float:
        """How much of what may be under way is, 0 to 1."""
        return self.unread_bytes / self._most_bytes

    def admit(self, size: int) -> UnreadAnswer | None:
        """An answer of `size` bytes is to be sent; None if too much is under way already."""
        if size <= _SMALL_BYTES:
            return UnreadAnswer(self, 0)
        if self.unread_bytes + size > self._most_bytes:
            return None
        self.unread_bytes += size
        return UnreadAnswer(self, size)
