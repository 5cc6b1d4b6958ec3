"""What a session has sent, kept for a client that loses its connection and comes back for the rest."""

from __future__ import annotations

import hmac
import secrets
from collections import deque

__all__ = ["ResumeLog"]


class ResumeLog:
    """`keep` every payload as it is sent; `missed` gives those that the client has not had.

    A session's messages are numbered by their order, so a client need only say how many it had. The newest `most` are
    kept; who was away for more than that has lost the older ones. `secret` is for the client alone.
    """

    def __init__(self, most: int) -> None:
        self.secret = secrets.token_urlsafe(16)
        self._kept: deque[bytes | str] = deque(maxlen=most)
        self._sent = 0

    def keep(self, payload: bytes | str) -> None:
        self._kept.append(payload)
        self._sent += 1

    def knows(self, secret: str) -> bool:
        """Whether a client gives the right secret."""
        return hmac.compare_digest(secret.encode(), self.secret.encode())

    def missed(self, received: int) -> list[bytes | str]:
        """The payloads behind the first `received` ones, as far as they are kept."""
        missed = min(max(0, self._sent - received), len(self._kept))
        return list(self._kept)[len(self._kept) - missed :]
