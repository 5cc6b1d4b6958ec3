"""Ogg pages: however a stream is cut, the packets are the same, and what waits for its end is bounded."""

from __future__ import annotations

from captions.stream.ogg import OggError, OggReader

__all__ = ["check", "seeds"]


def seeds() -> list[bytes]:
    head = _page(b"OpusHead\x01\x01" + bytes(9), flags=2)
    tags = _page(b"OpusTags" + bytes(8))
    return [
        b"\x05" + head + tags + _page(b"\xf8\xff\xfe") + _page(b"\x08" * 300, flags=4),
        b"\x01" + _page(b"a" * 255, lacing=b"\xff") + _page(b"b", flags=1),
        b"\x1b" + _page(b"", lacing=b"") + _page(b"xy", lacing=b"\x01\x01"),
        b"\x10OggS",
    ]


def check(data: bytes) -> None:
    """The first byte says how long the pieces are."""
    piece, stream = 1 + data[0] if data else 1, data[1:]
    whole, whole_error = _packets([stream])
    cut, cut_error = _packets([stream[at : at + piece] for at in range(0, len(stream), piece)])
    assert cut_error == whole_error
    # A stream that breaks has told its whole packets before, if it came in pieces.
    assert cut == whole or (whole_error and not whole)


def _packets(pieces: list[bytes]) -> tuple[list[bytes], bool]:
    """The packets up to the first error, and whether there was one."""
    reader, packets = OggReader(), list[bytes]()
    for piece in pieces:
        try:
            packets += reader.feed(piece)
        except OggError:
            return packets, True
    return packets, False


def _page(body: bytes, *, flags: int = 0, lacing: bytes | None = None) -> bytes:
    if lacing is None:
        lacing = b"\xff" * (len(body) // 255) + bytes([len(body) % 255])
    return b"OggS\x00" + bytes([flags]) + bytes(20) + bytes([len(lacing)]) + lacing + body
