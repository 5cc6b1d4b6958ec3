"""One connection as websockets has it: what was asked on it, what it may do, and its plain answer."""

from __future__ import annotations

import asyncio
import http
import socket
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Event, State

from captions.doors.grant import NOTHING, Grant
from captions.doors.pace import Pace
from captions.server.admission import Place
from captions.server.doorstep import Doorstep
from captions.server.pages import Page
from captions.server.read_ahead import ReadAhead
from captions.server.request_body import RequestBody
from captions.server.unread_answers import UnreadAnswer

__all__ = ["Connection", "headers_of", "path_of", "query_of", "response"]


_BURST_S = 2.0
"""So long a client may send commands as fast as it likes, as an SFU does that starts the tracks of many meetings."""
_CONTROLS_PER_S, _CONTROLS_AT_ONCE = 10.0, 100.0
"""Pings and pongs of a client: a browser sends one for each of ours, every 20 s."""
_LOOK_S = 1.0
"""How often a connection that is not read from is looked after."""
_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_MOST_PIECES = 1_000
"""Of one message: they are kept until its last has come, and empty ones are no bytes by which to bound them."""


class Connection(ServerConnection):
    """Knows what it may do, once it is let in, and breaks where a client sends what costs only the server.

    Lets plain HTTP answers out whole: websockets aborts after one, with what the socket has not taken yet.
    """

    grant: Grant = NOTHING
    place: Place | None = None
    answer: UnreadAnswer | None = None

    def __init__(self, *args: Any, doorstep: Doorstep, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._doorstep = doorstep
        self._controls = Pace(_CONTROLS_PER_S, _CONTROLS_AT_ONCE)
        self._pieces = 0
        self._read_ahead: ReadAhead
        self._reader: asyncio.Task[Any] | None = None
        self._is_lost = False
        self._looking: asyncio.TimerHandle | None = None
        self._request_body = RequestBody()

    @property
    def body(self) -> bytes:
        """The body of what was asked for by plain HTTP."""
        return self._request_body.body

    @property
    def peer(self) -> str:
        """The address at the other end of the socket; "" if it was gone before it could be asked for."""
        return self.remote_address[0] if self.remote_address else ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._read_ahead = ReadAhead(self._pause_reading, self._resume_reading)
        self._doorstep.arrives(self.peer, self, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        of_websockets = self._request_body.feed(data)
        if of_websockets:
            super().data_received(of_websockets)

    def connection_lost(self, exc: Exception | None) -> None:
        self._doorstep.gone(self)
        if self.place is not None:
            self.place.leave()
        if self._looking is not None:
            self._looking.cancel()
        self._is_lost = self.protocol.close_rcvd is None
        if self._is_lost and self._reader is not None:
            self._reader.cancel()
        super().connection_lost(exc)
        self._forget_unread()

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and self._is_too_much(event.opcode):
            self.transport.abort()
            return
        super().process_event(event)
        if isinstance(event, Frame) and event.opcode in _DATA:
            self._read_ahead.came(len(event.data), last=event.fin)

    async def each(self, receive: Callable[[bytes | str], Awaitable[int]], commands_per_s: float) -> None:
        """Have every message received, in order, until the connection is closed.

        `receive` returns how many commands a message counts for. Who sends more of them than it may is not read from
        meanwhile.
        Of a connection that is lost nothing more is: what was read ahead of it is forgotten, and who waits on its
        behalf, for room or its turn, waits no longer.

        Raises:
            ConnectionClosed: it broke without having been closed.
        """
        task = self._reader = asyncio.current_task()
        assert task is not None
        pace = Pace(commands_per_s, commands_per_s * _BURST_S)
        try:
            async for payload in self:
                self._read_ahead.taken()
                commands = await receive(payload)
                if commands and (wait_s := pace.wait_s(self.loop.time(), commands)):
                    await asyncio.sleep(wait_s)
        except asyncio.CancelledError:
            if not self._is_lost or task.uncancel():
                raise
        finally:
            self._reader = None
            self._forget_unread()

    def _forget_unread(self) -> None:
        """What nobody will read is let go at once: a connection refers to itself, and is collected when it may be."""
        if self._is_lost and self._reader is None:
            self.recv_messages.frames.queue.clear()

    def _pause_reading(self) -> None:
        self.transport.pause_reading()
        self._looking = self.loop.call_later(_LOOK_S, self._look_for_loss)

    def _resume_reading(self) -> None:
        self.transport.resume_reading()
        if self._looking is not None:
            self._looking.cancel()

    def _look_for_loss(self) -> None:
        """A reset is told to who reads; while nobody does it has to be asked for."""
        if self.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abort()
        else:
            self._looking = self.loop.call_later(_LOOK_S, self._look_for_loss)

    def _is_too_much(self, opcode: Opcode) -> bool:
        if opcode in (Opcode.PING, Opcode.PONG):
            return self._controls.wait_s(self.loop.time()) > 0
        self._pieces = self._pieces + 1 if opcode is Opcode.CONT else 0
        return self._pieces > _MOST_PIECES

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        try:
            await super().handshake(*args, **kwargs)
            if self.state is not State.OPEN:
                self.transport.set_write_buffer_limits(0)
                await self.drain()
        finally:
            self._doorstep.gone(self)
            if self.place is not None and self.state is not State.OPEN:
                self.place.leave()  # it may have been lost before it was let in
            if self.answer is not None:
                self.answer.gone()


def path_of(request: Request) -> str:
    """The path as it came, still percent-encoded.

    Raises:
        ValueError: it is no address.
    """
    return urlsplit(request.path).path


def query_of(request: Request) -> dict[str, str]:
    """The query's parameters.

    Raises:
        ValueError: it is no address.
    """
    return dict(parse_qsl(urlsplit(request.path).query))


def headers_of(request: Request) -> Headers:
    """The request's headers, those that came more than once as one: asking websockets for such a one is an error."""
    return Headers({name: ", ".join(request.headers.get_all(name)) for name in request.headers})


def response(page: Page) -> Response:
    """A page as the whole answer of a connection, which ends with it."""
    headers = Headers(page.headers)
    if page.status != http.HTTPStatus.NOT_MODIFIED:
        headers["Content-Length"] = str(len(page.body))
    headers["Connection"] = "close"
    return Response(page.status, http.HTTPStatus(page.status).phrase, headers, page.body)
