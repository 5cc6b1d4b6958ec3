"""The WebSockets that were let in, each from there to its end: its door or its room, and what waits to be sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from captions.config import LimitsConfig
from captions.doors.grant import Grant
from captions.doors.names import since_in
from captions.doors.native import messages as native
from captions.doors.service import Line, Service
from captions.rooms.position import Position
from captions.rooms.rooms import RoomFull
from captions.server.connection import Connection, path_of, query_of
from captions.server.outbox import Outbox
from captions.server.routes import PublishingSession, match
from captions.server.shared_frame import write_at_once

__all__ = ["Connections"]

log = logging.getLogger(__name__)

_HEARTBEAT_S = 10.0
_TRY_LATER = 1013
_TOKEN_ENDED = 4401
_MOST_REASON_BYTES = 123
"""What a close frame has room for (RFC 6455, 5.5)."""


class Connections:
    """`serve` each; `finish` when nothing more may come, then wait until all is `written`."""

    def __init__(self, service: Service, limits: LimitsConfig) -> None:
        self._service = service
        self._limits = limits
        self._publishing: set[PublishingSession] = set()
        self._outboxes: set[Outbox] = set()
        self._open: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._outboxes)

    @property
    def publishing(self) -> int:
        """Those that send audio."""
        return len(self._publishing)

    async def close_ungranted(self, still_grants: Callable[[Grant], bool]) -> int:
        """Close those whose grant would not be given again; how many they were."""
        ungranted = [connection for connection in self._open if not still_grants(connection.grant)]
        await asyncio.gather(*(connection.close(_TOKEN_ENDED, "the key is no longer good") for connection in ungranted))
        return len(ungranted)

    def finish(self) -> None:
        """End what is published on all of them; its last words still come."""
        for session in self._publishing:
            session.finish()

    async def written(self) -> None:
        """Wait until all that was sent so far is written."""
        for outbox in tuple(self._outboxes):
            await outbox.written()

    async def serve(self, connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        found = match(path_of(request))
        assert found is not None
        assert isinstance(connection, Connection)
        kind, grant, metrics = found.route.kind, connection.grant, self._service.metrics
        gauge = metrics.connections.labels(route=kind)
        gauge.inc()
        if kind == "kyutai":
            metrics.asr_connect.inc()
            metrics.asr_open_channels.inc()
        outbox = Outbox(
            connection.send,
            self._limits.outbox_messages,
            self._limits.outbox_bytes,
            self._service.waiting,
            lambda: self._too_slow(connection, kind),
            partial(write_at_once, connection),
            metrics.revisions_skipped.labels(behind="reader").inc,
        )
        self._outboxes.add(outbox)
        self._open.add(connection)
        writer = asyncio.create_task(_write(connection, outbox))
        end = asyncio.create_task(self._close_at(connection, grant.ends_at))
        try:
            if found.route.door is not None:
                line = Line(outbox.send, outbox.hang_up)
                await self._publish(connection, found.route.door(self._service, line, query_of(request), grant))
            else:
                await self._watch(connection, found.parts["room"], since_in(query_of(request)), outbox)
        except ConnectionClosed:
            pass
        finally:
            gauge.dec()
            if kind == "kyutai":
                metrics.asr_open_channels.dec()
            self._outboxes.discard(outbox)
            self._open.discard(connection)
            outbox.close()
            outbox.forget()
            end.cancel()
            writer.cancel()
            with suppress(asyncio.CancelledError, ConnectionClosed):
                await writer

    async def _publish(self, connection: Connection, session: PublishingSession) -> None:
        self._publishing.add(session)
        try:
            await connection.each(session.receive, self._limits.commands_per_s)
        finally:
            self._publishing.discard(session)
            session.disconnected()

    async def _watch(self, connection: Connection, room: str, since: Position | None, outbox: Outbox) -> None:
        rooms, languages = self._service.rooms, self._service.engine.info.languages
        outbox.send(_json(native.Watching(room, list(languages), _HEARTBEAT_S)))
        try:
            rooms.watch(room, outbox, self._service.clock(), since)
        except RoomFull as error:
            await connection.close(_TRY_LATER, str(error)[:120])
            return
        beating = asyncio.create_task(self._beat(room, outbox))
        try:
            await connection.each(_pass_over, self._limits.commands_per_s)
        finally:
            rooms.leave(room, outbox)
            beating.cancel()

    async def _beat(self, room: str, outbox: Outbox) -> None:
        """A browser sees no pings: without this, a reader could not tell a dead service from silence."""
        await self._service.rooms.shown(room, outbox)
        while True:
            outbox.send(_json(native.Heartbeat(round(self._service.wall_clock(), 3))))
            await asyncio.sleep(_HEARTBEAT_S)

    async def _close_at(self, connection: Connection, ends_at: float | None) -> None:
        """Close a connection when the token that opened it ends; `ends_at` in seconds since 1970."""
        if ends_at is not None:
            await asyncio.sleep(ends_at - self._service.wall_clock())
            await connection.close(_TOKEN_ENDED, "the token has ended: come back with a new one")

    def _too_slow(self, connection: Connection, kind: str) -> None:
        self._service.metrics.readers_dropped.labels(route=kind).inc()
        log.warning("dropped a slow reader", extra={"route": kind})
        connection.transport.abort()


async def _pass_over(_payload: bytes | str) -> int:
    """Watchers have nothing to say."""
    return 1


async def _write(connection: Connection, outbox: Outbox) -> None:
    await outbox.run()
    if outbox.farewell is not None:
        code, reason = outbox.farewell
        await connection.close(code, reason.encode()[:_MOST_REASON_BYTES].decode(errors="ignore"))


def _json(message: native.ServerMessage) -> bytes | str:
    return native.encode(message, "json")
