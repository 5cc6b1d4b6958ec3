"""A WebSocket made by hand (RFC 6455), for what no well-behaved client would send, and as fast as a socket takes it."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

from captions.doors.native import messages as native

__all__ = ["ANSWER_S", "RawSocket", "Refused", "frame", "plain_socket", "upgrade"]

ANSWER_S = 10.0
_NATIVE = "/v1/stream"


class Refused(Exception):
    """The server answered with a status that is no WebSocket."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


class RawSocket:
    """`open` it, `send` bytes as they are; `closed` or `reset` at the end. Reads only what is asked for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._drain: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        url: str,
        path: str = _NATIVE,
        *,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        source: str = "127.0.0.1",
        reads: bool = True,
    ) -> RawSocket:
        """Connect from an address of this machine and ask for a WebSocket. `reads`: what comes is read and forgotten.

        Raises:
            Refused: the server will not have it.
            OSError: it cannot be reached, or was silent for ten seconds.
        """
        place = urlsplit(url)
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(place.hostname, place.port, local_addr=(source, 0))
            raw = cls(reader, writer)
            try:
                writer.write(upgrade(url, path, key=key, headers=headers))
                answer = await reader.readuntil(b"\r\n\r\n")
            except EOFError:
                raise ConnectionResetError("the server closed the connection") from None
        status = int(answer.split(b" ", 2)[1])
        if status != 101:
            raw.reset()
            raise Refused(status)
        if reads:
            raw._drain = asyncio.create_task(raw._read_on())
        return raw

    async def __aenter__(self) -> RawSocket:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reset()

    async def send(self, data: bytes) -> None:
        """Wait until the kernel has taken the most of it.

        Raises:
            ConnectionError: the server has closed the connection.
        """
        self._writer.write(data)
        await self._writer.drain()

    async def read(self) -> bytes:
        """Whatever comes next, b"" at the end; only without `reads`."""
        return await self._reader.read(1 << 16)

    def reset(self) -> None:
        """Gone, as of a killed host."""
        if self._drain is not None:
            self._drain.cancel()
        with suppress(OSError):
            raw = self._writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _read_on(self) -> None:
        with suppress(OSError):
            while await self._reader.read(1 << 16):
                pass


def plain_socket(url: str, said: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
    """A TCP connection on which something was said, or nothing."""
    place = urlsplit(url)
    one = socket.create_connection((place.hostname or "", place.port or 0), ANSWER_S, (source, 0))
    if said:
        one.sendall(said)
    return one


def upgrade(url: str, path: str = _NATIVE, *, key: str = "", headers: Mapping[str, str] | None = None) -> bytes:
    """An opening handshake (RFC 6455, 4.1)."""
    sent = {
        "Host": urlsplit(url).netloc,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": native.SUBPROTOCOL,
    }
    sent |= {"Authorization": f"Bearer {key}"} if key else {}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in (sent | dict(headers or {})).items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def frame(payload: bytes | str, opcode: int | None = None, *, final: bool = True) -> bytes:
    """A masked frame (RFC 6455, 5.2) whose mask is nought: text or binary by the payload, or of another `opcode`."""
    data = payload.encode() if isinstance(payload, str) else payload
    kind = opcode if opcode is not None else (1 if isinstance(payload, str) else 2)
    if len(data) < 126:
        length = bytes([0x80 | len(data)])
    elif len(data) < 1 << 16:
        length = b"\xfe" + struct.pack("!H", len(data))
    else:
        length = b"\xff" + struct.pack("!Q", len(data))
    return bytes([kind | (0x80 if final else 0)]) + length + bytes(4) + data
