"""What a session has sent, kept for a client that loses its connection and comes back for the rest."""

from __future__ import annotations

import hmac
import secrets
from collections import deque

from captions.doors.shared_bytes import SharedBytes

__all__ = ["ResumeLog"]


class ResumeLog:
    """`keep` every payload as it is sent; `missed` gives those that the client has not had. `close` once it is over.

    A session's messages are numbered by their order, so a client need only say how many it had. The newest `most` are
    kept, of at most `most_bytes`, and fewer while all logs and outboxes of the server have more than they may `share`;
    who was away for more than that has lost the older ones. `secret` is for the client alone. A `Keeper`.
    """

    def __init__(self, most: int, most_bytes: int, share: SharedBytes) -> None:
        self.secret = secrets.token_urlsafe(16)
        self._most = most
        self._most_bytes = most_bytes
        self._share = share
        self._kept: deque[bytes | str] = deque()
        self._kept_bytes = 0
        self._sent = 0
        self._closed = False

    @property
    def kept_bytes(self) -> int:
        return self._kept_bytes

    def keep(self, payload: bytes | str) -> None:
        if self._closed:
            return
        self._kept.append(payload)
        self._kept_bytes += len(payload)
        self._sent += 1
        while len(self._kept) > self._most or self._kept_bytes > self._most_bytes:
            self._forget_oldest()
        self._share.changed(self)

    def knows(self, secret: str) -> bool:
        """Whether a client gives the right secret."""
        return hmac.compare_digest(secret.encode(), self.secret.encode())

    def missed(self, received: int) -> list[bytes | str]:
        """The payloads behind the first `received` ones, as far as they are kept."""
        missed = min(max(0, self._sent - received), len(self._kept))
        return list(self._kept)[len(self._kept) - missed :]

    def shed(self) -> None:
        """Forget the older half: often enough for a while, so that it is not asked for at each payload."""
        wanted = self._kept_bytes // 2
        while self._kept_bytes > wanted:
            self._forget_oldest()
        self._share.changed(self)

    def close(self) -> None:
        """Nobody comes back for any of it, nor for what is still to come."""
        self._closed = True
        self._kept.clear()
        self._kept_bytes = 0
        self._share.changed(self)

    def _forget_oldest(self) -> None:
        self._kept_bytes -= len(self._kept.popleft())
