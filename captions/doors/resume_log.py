"""What a session has sent, kept for a client that loses its connection and comes back for the rest."""

from __future__ import annotations

import hmac
import secrets
from array import array

from captions.doors.shared_bytes import SharedBytes

__all__ = ["ResumeLog"]


class ResumeLog:
    """`keep` every payload as it is sent; `missed` gives those that the client has not had. `close` once it is over.

    A session's messages are numbered by their order, so a client need only say how many it had. The newest `most` are
    kept, of at most `most_bytes`, and fewer while all logs and outboxes of the server have more than they may `share`;
    who was away for more than that has lost the older ones. `secret` is for the client alone. A `Keeper`.

    They are kept in one piece, and in another their sizes, whose lowest bit says whether it is text: pieces go back to
    the system when they are given up, while thousands of small objects would leave holes that Python keeps.
    """

    def __init__(self, most: int, most_bytes: int, share: SharedBytes) -> None:
        self.secret = secrets.token_urlsafe(16)
        self._most = most
        self._most_bytes = most_bytes
        self._share = share
        self._kept = bytearray()
        self._sizes = array("Q")
        self._sent = 0
        self._closed = False

    @property
    def kept_bytes(self) -> int:
        return len(self._kept)

    def keep(self, payload: bytes | str) -> None:
        if self._closed:
            return
        is_text = isinstance(payload, str)
        data = payload.encode() if isinstance(payload, str) else payload
        self._kept += data
        self._sizes.append(len(data) << 1 | is_text)
        self._sent += 1
        while len(self._sizes) > self._most or len(self._kept) > self._most_bytes:
            self._forget_oldest()
        self._share.changed(self)

    def knows(self, secret: str) -> bool:
        """Whether a client gives the right secret."""
        return hmac.compare_digest(secret.encode(), self.secret.encode())

    def missed(self, received: int) -> list[bytes | str]:
        """The payloads behind the first `received` ones, as far as they are kept."""
        payloads: list[bytes | str] = []
        at = 0
        for size, is_text in ((packed >> 1, packed & 1) for packed in self._sizes):
            data = bytes(self._kept[at : at + size])
            payloads.append(data.decode() if is_text else data)
            at += size
        missed = min(max(0, self._sent - received), len(payloads))
        return payloads[len(payloads) - missed :]

    def shed(self) -> None:
        """Forget the older half: often enough for a while, so that it is not asked for at each payload."""
        wanted = len(self._kept) // 2
        while len(self._kept) > wanted:
            self._forget_oldest()
        self._share.changed(self)

    def close(self) -> None:
        """Nobody comes back for any of it, nor for what is still to come."""
        self._closed = True
        self._kept.clear()
        del self._sizes[:]
        self._share.changed(self)

    def _forget_oldest(self) -> None:
        del self._kept[: self._sizes.pop(0) >> 1]
