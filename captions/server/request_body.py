"""The body of a plain HTTP request, which websockets does not read: it is taken out before websockets sees the rest."""

from __future__ import annotations

import re

__all__ = ["MOST_BODY_BYTES", "RequestBody"]

MOST_BODY_BYTES = 65_536
_MOST_HEAD_BYTES = 16_384
_NO_BODY = b"GET "
_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"(\r\nContent-Length:[ \t]*)(\d{1,9})([ \t]*\r\n)", re.IGNORECASE)


class RequestBody:
    """`feed` what comes in on a connection; what websockets is to get of it comes back. `body` is the first request's.

    A GET passes as it is, and so does what is too long or malformed, for websockets to refuse.
    """

    def __init__(self) -> None:
        self.body = b""
        self._held = b""
        self._passes = False

    def feed(self, data: bytes) -> bytes:
        if self._passes:
            return data
        self._held += data
        if len(self._held) < len(_NO_BODY) and _NO_BODY.startswith(self._held):
            return b""
        head, end, rest = self._held.partition(_HEAD_END)
        if self._held.startswith(_NO_BODY) or (not end and len(self._held) > _MOST_HEAD_BYTES):
            return self._pass(self._held)
        if not end:
            return b""
        found = _LENGTH.search(head + _HEAD_END)
        length = int(found.group(2)) if found else 0
        if not found or length > MOST_BODY_BYTES:
            return self._pass(self._held)
        if len(rest) < length:
            return b""
        self.body = rest[:length]
        return self._pass(_LENGTH.sub(rb"\g<1>0\g<3>", head + _HEAD_END, count=1) + rest[length:])

    def _pass(self, data: bytes) -> bytes:
        self._passes, self._held = True, b""
        return data
