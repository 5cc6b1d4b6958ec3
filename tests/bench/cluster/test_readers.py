"""Reading a server's frames by hand."""

from __future__ import annotations

import struct

from bench.cluster.readers import texts


def framed(payload: bytes) -> bytes:
    if len(payload) < 126:
        return bytes([0x81, len(payload)]) + payload
    if len(payload) < 1 << 16:
        return b"\x81\x7e" + struct.pack("!H", len(payload)) + payload
    return b"\x81\x7f" + struct.pack("!Q", len(payload)) + payload


def test_frames_of_all_lengths_come_whole_however_they_are_cut() -> None:
    payloads = [b"", b"short", b"x" * 126, b"y" * 70_000, b"last"]
    data = b"".join(framed(payload) for payload in payloads)
    for step in (1_000, 65_537, len(data)):
        found: list[bytes] = []
        rest = b""
        for at in range(0, len(data), step):
            more, rest = texts(rest + data[at : at + step])
            found += more
        assert found == payloads
        assert rest == b""
