"""Thousands of readers of a gateway's rooms in one process, of whom one in each room is looked at closely.

python -m bench.cluster.readers URL ROOMS READERS SECONDS      says "ready", then what came, as JSON
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from urllib.parse import quote, urlsplit

import numpy as np

from bench.load.raw_socket import upgrade

__all__ = ["Reader", "texts"]

_AT_ONCE = 100


class Reader(asyncio.Protocol):
    """Reads on. `close_look`: keeps how late each segment came after it was said, in seconds."""

    def __init__(self, url: str, room: str, *, close_look: bool) -> None:
        self._hello = upgrade(url, f"/v1/rooms/{quote(room)}/captions")
        self._close_look = close_look
        self._rest = b""
        self.delays: list[float] = []
        self.opened = asyncio.Event()
        self.lost = False
        self.received_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        if not self.opened.is_set():
            if b"\r\n\r\n" not in data:
                return
            data = data.partition(b"\r\n\r\n")[2]
            self.opened.set()
        if self._close_look:
            found, self._rest = texts(self._rest + data)
            now = time.time()
            for text in found:
                _, is_said, rest = text.partition(b'"said_at":')
                if is_said:
                    self.delays.append(now - float(rest.partition(b",")[0].rstrip(b"}")))

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self.lost = True
        self.opened.set()


def texts(data: bytes) -> tuple[list[bytes], bytes]:
    """The payloads of a server's whole frames, and what is left (RFC 6455, 5.2: not masked)."""
    found: list[bytes] = []
    at = 0
    while len(data) >= at + 2:
        length, begins = data[at + 1], at + 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(data) < begins + size:
                break
            length = struct.unpack_from("!H" if size == 2 else "!Q", data, begins)[0]
            begins += size
        if len(data) < begins + length:
            break
        found.append(data[begins : begins + length])
        at = begins + length
    return found, data[at:]


async def _connect(reader: Reader, host: str, port: int) -> None:
    await asyncio.get_running_loop().create_connection(lambda: reader, host, port)


async def _read(url: str, rooms: int, readers: int, seconds: float) -> None:
    place = urlsplit(url)
    everybody = [Reader(url, f"room {number % rooms}", close_look=number < rooms) for number in range(readers)]
    for first in range(0, readers, _AT_ONCE):
        some = everybody[first : first + _AT_ONCE]
        await asyncio.gather(*(_connect(reader, place.hostname or "", place.port or 0) for reader in some))
        await asyncio.gather(*(reader.opened.wait() for reader in some))
    before = sum(reader.received_bytes for reader in everybody)
    for reader in everybody:
        reader.delays.clear()
    print("ready", flush=True)
    await asyncio.sleep(seconds)
    close = [reader for reader in everybody[:rooms] if reader.delays]
    p95s = [float(np.quantile(reader.delays, 0.95)) for reader in close]
    together = [delay for reader in close for delay in reader.delays]
    print(
        json.dumps(
            {
                "lost": sum(reader.lost for reader in everybody),
                "bytes_a_s": (sum(reader.received_bytes for reader in everybody) - before) / seconds,
                "each_a_s": len(together) / max(1, len(close)) / seconds,
                "p50_ms": float(np.quantile(together, 0.5)) * 1_000 if together else 0.0,
                "p95_ms": float(np.quantile(together, 0.95)) * 1_000 if together else 0.0,
                "best_p95_ms": min(p95s, default=0.0) * 1_000,
                "worst_p95_ms": max(p95s, default=0.0) * 1_000,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    asyncio.run(_read(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
