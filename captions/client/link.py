"""One connection of the client: opened and resumed, its packets gathered into messages. Imports websockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.protocol import State
from websockets.typing import Subprotocol

from captions.doors.native.messages import (
    SUBPROTOCOL,
    Audio,
    ClientMessage,
    Encoding,
    Error,
    Packets,
    ProtocolError,
    Ready,
    Resume,
    ServerMessage,
    Started,
    Stop,
    Stopped,
    TrackPacket,
    decode_server,
    encode,
)

__all__ = ["GATHER_S", "ConnectError", "Link", "Refused", "connection_to", "payloads", "read", "with_route"]


GATHER_S = 0.02
"""An SFU has a packet of every participant in this time."""
_PACKET_BYTES = 40
"""The most that a packet takes in a message beside its audio."""
_MOST_BYTES = 1 << 20
"""Of one message of a server: what is said at a time is some kilobytes."""
_FOR_GOOD = (401, 403)
"""What a server answers who may not come in. Any other status may be of a proxy whose server is away for a moment."""


class ConnectError(Exception):
    """The server cannot be reached or will not have us; the message is one line."""


class Refused(ConnectError):
    """The server will not have us, however often we try: the key is not good, or not for this."""


class Link:
    """One connection to one node. `open` it; iterate over it for the server's messages; `close` it.

    Messages that arrive while nobody iterates wait, bounded by the socket: keep reading.

    Audio is gathered: the packets of `gather_s` seconds, of whichever tracks, go as one message, which costs client and
    server much less than a message each. A packet waits no longer than that, and everything else that is sent first
    takes what was gathered along, so the order stays. 0 sends each packet by itself, as is done anyway until the server
    has been heard to say `started`.
    """

    def __init__(
        self, url: str, key: str | None = None, encoding: Encoding = "msgpack", *, gather_s: float = GATHER_S
    ) -> None:
        """`url`: the server's, "ws://host:port", with or without the route."""
        self.url = with_route(url, "/v1/stream")
        self._key = key
        self._encoding: Encoding = encoding
        self._gather_s = gather_s
        self._connection: ClientConnection | None = None
        self._ready: Ready | None = None
        self._received = 0
        self._handles: dict[str, int] = {}
        self._gathered: list[TrackPacket] = []
        self._gathered_bytes = 0
        self._most_bytes = 0
        self._most_packets = 0
        self._sending_later: asyncio.Task[None] | None = None

    @property
    def has_session(self) -> bool:
        """Whether there is a session that may be resumed."""
        return self._ready is not None

    async def open(self) -> None:
        """Connect.

        Raises:
            ConnectError: the server cannot be reached, or will not have us.
        """
        self._connection = await connection_to(self.url, self._key, [Subprotocol(SUBPROTOCOL)])

    async def resume(self) -> None:
        """Go on with the session after its connection was lost; what was missed comes first.

        Raises:
            ConnectError: the server cannot be reached, or there was no session yet.
        """
        if self._ready is None:
            raise ConnectError("there is no session to resume")
        self._take_gathered()
        await self._connected().close()
        self._connection = await connection_to(self.url, self._key, [Subprotocol(SUBPROTOCOL)])
        await self.send(Resume(self._ready.session, self._ready.secret, self._received))

    async def close(self) -> None:
        with suppress(ConnectError):
            await self._send_gathered()
        await self._connected().close()

    async def __aiter__(self) -> AsyncIterator[ServerMessage]:
        """Ends when the server has closed the connection well.

        Raises:
            ConnectError: it was lost, or the server speaks another protocol.
        """
        async for payload in payloads(self._connected()):
            self._received += 1
            message = read(payload)
            match message:
                case None:
                    continue
                case Ready():
                    self._ready = message
                    self._most_bytes, self._most_packets = message.limits.message_bytes // 2, message.limits.packets
                case Started(track, handle) if handle:
                    self._handles[track] = handle
                case Stopped(track):
                    self._handles.pop(track, None)
                case Error("not_resumable"):
                    self._ready, self._received = None, 0
                    self._handles.clear()
            yield message

    async def send(self, message: ClientMessage) -> None:
        """Any message of the protocol. Audio may be gathered first; see above.

        Raises:
            ConnectError: the server has gone.
        """
        if isinstance(message, Audio) and self._gather_s and (handle := self._handles.get(message.track)) is not None:
            await self._gather(
                TrackPacket(handle, message.data, message.seq, message.timestamp, message.level, message.captured_at)
            )
            return
        await self._send_gathered()
        if isinstance(message, Stop):
            self._handles.pop(message.track, None)
        await self._send(message)

    async def _gather(self, packet: TrackPacket) -> None:
        size = len(packet.data) + _PACKET_BYTES
        if self._gathered_bytes + size > self._most_bytes or len(self._gathered) >= self._most_packets:
            await self._send_gathered()
        self._gathered.append(packet)
        self._gathered_bytes += size
        if self._sending_later is None:
            if self._connected().state is not State.OPEN:
                self._take_gathered()
                raise ConnectError("the server closed the connection")
            self._sending_later = asyncio.create_task(self._send_later())

    async def _send_later(self) -> None:
        """Send what was gathered once its time is over; that the server has gone is for the next `send` to say."""
        await asyncio.sleep(self._gather_s)
        self._sending_later = None
        with suppress(ConnectError):
            await self._send_gathered()

    async def _send_gathered(self) -> None:
        if packets := self._take_gathered():
            await self._send(Packets(packets))

    def _take_gathered(self) -> list[TrackPacket]:
        packets, self._gathered = self._gathered, []
        self._gathered_bytes = 0
        if self._sending_later is not None:
            self._sending_later.cancel()
            self._sending_later = None
        return packets

    async def _send(self, message: ClientMessage) -> None:
        try:
            await self._connected().send(encode(message, self._encoding))
        except ConnectionClosed as error:
            raise ConnectError(f"the server closed the connection: {error}") from None

    def _connected(self) -> ClientConnection:
        if self._connection is None:
            raise ConnectError("not connected: use the client as an async context manager")
        return self._connection


def read(payload: bytes | str) -> ServerMessage | None:
    """What a server says; None for a type that only a newer one has.

    Raises:
        ConnectError: it speaks another protocol.
    """
    try:
        return decode_server(payload)
    except ProtocolError as error:
        if error.code == "unknown_type":
            return None
        raise ConnectError(f"the server says what cannot be read: {error}") from None


async def payloads(connection: ClientConnection) -> AsyncIterator[bytes | str]:
    """What comes on a connection, until the server closes it well.

    Raises:
        ConnectError: it was lost without a goodbye.
    """
    try:
        async for payload in connection:
            yield payload
    except ConnectionClosed as error:
        raise ConnectError(f"the connection was lost: {error}") from None


async def connection_to(url: str, key: str | None, subprotocols: list[Subprotocol] | None) -> ClientConnection:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        return await connect(
            url,
            additional_headers=headers,
            subprotocols=subprotocols,
            compression=None,
            max_size=_MOST_BYTES,
            proxy=None,
        )
    except InvalidStatus as error:
        refused = error.response.status_code in _FOR_GOOD
        raise (Refused if refused else ConnectError)(f"{url}: {error}") from None
    except (TimeoutError, OSError, InvalidHandshake, InvalidURI, ValueError) as error:
        # ValueError: of urllib and of the resolver, for what is no address. Nodes name others, not only users.
        raise ConnectError(f"{url}: {error}") from None


def with_route(url: str, route: str) -> str:
    url = url.replace("http://", "ws://", 1).replace("https://", "wss://", 1).rstrip("/")
    return url if url.endswith(route) else url + route
