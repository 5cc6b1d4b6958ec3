"""The Python client of the native protocol, which the commands, the benchmarks and other people's code use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from captions.doors.native.messages import (
    SUBPROTOCOL,
    Audio,
    ClientMessage,
    CodecName,
    Encoding,
    Participant,
    Ready,
    Resume,
    Segment,
    ServerMessage,
    Start,
    Stop,
    decode_server,
    encode,
)

__all__ = ["Client", "ConnectError", "watch"]


class ConnectError(Exception):
    """The server cannot be reached or will not have us; the message is one line."""


class Client:
    """One connection. Use as an async context manager; iterate over it for the server's messages.

    Messages that arrive while nobody iterates wait, bounded by the socket: keep reading.
    """

    def __init__(self, url: str, key: str | None = None, encoding: Encoding = "msgpack") -> None:
        """`url`: the server's, "ws://host:port", with or without the route."""
        self._url = _with_route(url, "/v1/stream")
        self._key = key
        self._encoding: Encoding = encoding
        self._connection: ClientConnection | None = None
        self._ready: Ready | None = None
        self._received = 0

    async def __aenter__(self) -> Client:
        self._connection = await _open(self._url, self._key, [Subprotocol(SUBPROTOCOL)])
        return self

    async def resume(self) -> None:
        """Go on with the session after its connection was lost; what was missed comes first.

        Raises:
            ConnectError: the server cannot be reached, or there was no session yet.
        """
        if self._ready is None:
            raise ConnectError("there is no session to resume")
        await self._connected().close()
        self._connection = await _open(self._url, self._key, [Subprotocol(SUBPROTOCOL)])
        await self.send(Resume(self._ready.session, self._ready.secret, self._received))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connected().close()

    async def __aiter__(self) -> AsyncIterator[ServerMessage]:
        async for payload in self._connected():
            message = decode_server(payload)
            self._received += 1
            if isinstance(message, Ready):
                self._ready = message
            yield message

    async def send(self, message: ClientMessage) -> None:
        """Any message of the protocol.

        Raises:
            ConnectError: the server has gone.
        """
        try:
            await self._connected().send(encode(message, self._encoding))
        except ConnectionClosed as error:
            raise ConnectError(f"the server closed the connection: {error}") from None

    async def start(
        self,
        room: str,
        track: str,
        codec: CodecName,
        sample_rate: int = 48_000,
        channels: int = 1,
        participant: Participant | None = None,
        *,
        live: bool = True,
    ) -> None:
        """Begin a track; see `Start`."""
        await self.send(Start(room, track, codec, participant, sample_rate, channels, live=live))

    async def audio(self, track: str, data: bytes) -> None:
        """One Opus packet, or any whole number of PCM samples."""
        await self.send(Audio(track, data))

    async def stop(self, track: str) -> None:
        """End a track: its last words come, then `Stopped`."""
        await self.send(Stop(track))

    def _connected(self) -> ClientConnection:
        if self._connection is None:
            raise ConnectError("not connected: use the client as an async context manager")
        return self._connection


@asynccontextmanager
async def watch(url: str, room: str, key: str | None = None) -> AsyncIterator[AsyncIterator[Segment]]:
    """The captions of a room: recent ones first, then new ones as they come."""
    connection = await _open(_with_route(url, f"/v1/rooms/{quote(room, safe='')}/captions"), key, None)

    async def segments() -> AsyncIterator[Segment]:
        async for payload in connection:
            message = decode_server(payload)
            if isinstance(message, Segment):
                yield message

    try:
        yield segments()
    finally:
        await connection.close()


async def _open(url: str, key: str | None, subprotocols: list[Subprotocol] | None) -> ClientConnection:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        return await connect(
            url, additional_headers=headers, subprotocols=subprotocols, compression=None, max_size=None, proxy=None
        )
    except (TimeoutError, OSError, InvalidHandshake) as error:
        raise ConnectError(f"{url}: {error}") from None


def _with_route(url: str, route: str) -> str:
    url = url.replace("http://", "ws://", 1).replace("https://", "wss://", 1).rstrip("/")
    return url if url.endswith(route) else url + route
