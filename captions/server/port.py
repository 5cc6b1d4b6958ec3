"""The port that WebSockets and plain HTTP come in on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import cast

from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from captions.config import Config
from captions.doors.native import messages as native
from captions.doors.openai import messages as openai
from captions.server.admission import address_of
from captions.server.answers import Answers
from captions.server.connection import Connection, headers_of, path_of, query_of, response
from captions.server.connections import Connections
from captions.server.doorstep import Doorstep
from captions.server.http_orders import HttpOrders
from captions.server.pages import Page, text
from captions.server.tls import Certificate
from captions.server.unread_answers import UnreadAnswers

__all__ = ["Port"]

log = logging.getLogger(__name__)


class Port:
    """`open` it, and `close` it: with the connections that came in.

    Plain HTTP is answered by `answers` and `orders`, and `connections` serves the WebSockets that are let in. `shared`:
    other processes listen on the same port.
    """

    def __init__(
        self,
        config: Config,
        certificate: Certificate | None,
        doorstep: Doorstep,
        unread: UnreadAnswers,
        answers: Answers,
        orders: HttpOrders,
        connections: Connections,
        wall_clock: Callable[[], float],
        *,
        shared: bool,
    ) -> None:
        self._config = config
        self._certificate = certificate
        self._doorstep = doorstep
        self._unread = unread
        self._answers = answers
        self._orders = orders
        self._connections = connections
        self._wall_clock = wall_clock
        self._shared = shared
        self._listening: WebSocketServer | None = None
        self._number: int | None = None

    @property
    def number(self) -> int:
        """Also once it is closed; of use where the configuration says 0."""
        assert self._number is not None
        return self._number

    async def open(self) -> None:
        server = self._config.server
        self._listening = await serve(
            self._connections.serve,
            server.host,
            server.port,
            process_request=self._process_request,
            select_subprotocol=_select_subprotocol,
            ssl=self._certificate.context if self._certificate is not None else None,
            create_connection=cast("type[Connection]", partial(Connection, doorstep=self._doorstep)),
            compression=None,
            max_size=self._config.limits.message_bytes,
            max_queue=None,  # counted in bytes instead: read_ahead.py
            ping_interval=20,
            ping_timeout=20,
            server_header=None,
            reuse_port=self._shared or None,
        )
        self._number = self._listening.sockets[0].getsockname()[1]
        log.info("listening", extra={"host": server.host, "port": self._number})

    async def close(self, code: int, reason: str, within_s: float) -> None:
        """Let nobody in any more, and close every connection with a WebSocket close code and a reason."""
        if self._listening is None:
            return
        self._listening.close(code=code, reason=reason)
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._listening.wait_closed()

    async def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer plain HTTP, refuse what may not pass, let WebSockets through."""
        assert isinstance(connection, Connection)
        try:
            path, query = path_of(request), query_of(request)
        except ValueError:
            return response(text(400, "no address of this server begins like that"))
        headers = headers_of(request)
        address = address_of(connection.peer, headers, self._config.server.proxies)
        if request.method not in ("GET", "HEAD"):
            return response(self._orders.answer(request.method, path, query, headers, connection.body))
        answer = await self._answers.answer(path, query, headers, address, self._wall_clock())
        if isinstance(answer, Page):
            connection.answer = self._unread.admit(len(answer.body))
            return response(answer if connection.answer is not None else text(503, "too many answers wait to be read"))
        connection.grant, connection.place = answer.grant, answer.place
        return None


def _select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """One that we know if the client offers it; clients that name none are taken as they are."""
    del connection
    return next((Subprotocol(known) for known in (native.SUBPROTOCOL, openai.SUBPROTOCOL) if known in offered), None)
