"""Requests in plain HTTP, cut anywhere: their body is taken out, or all passes as it came."""

from __future__ import annotations

from captions.server.request_body import MOST_BODY_BYTES, RequestBody

__all__ = ["check", "seeds"]

_SEEDS = (
    b"POST /v1/rtp HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n{}{}GET / HTTP/1.1\r\n\r\n",
    b"POST /v1/rtp HTTP/1.1\r\ncontent-length:\t2 \r\nContent-Length: 3\r\n\r\n{}",
    b"DELETE /v1/rtp/a HTTP/1.1\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd",
    b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n",
)


def seeds() -> list[bytes]:
    return [bytes([cut]) + seed for cut, seed in zip((1, 7, 30, 64, 255), _SEEDS, strict=True)]


def check(data: bytes) -> None:
    """The first byte is the length of the pieces it comes in."""
    length, request = (max(1, data[0]), data[1:]) if data else (1, b"")
    body = RequestBody()
    passed = b"".join(body.feed(request[at : at + length]) for at in range(0, len(request), length))
    assert len(body.body) <= MOST_BODY_BYTES
    assert body.body in request
    assert len(passed) + len(body.body) <= len(request)
