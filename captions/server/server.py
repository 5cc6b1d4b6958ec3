"""The WebSocket and HTTP routes. With client.py, the only module that imports websockets."""

from __future__ import annotations

import asyncio
import hmac
import http
import itertools
import json
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.typing import Subprotocol

from captions import __version__
from captions.config import Config
from captions.doors.kyutai.session import KyutaiSession
from captions.doors.livekit.session import EgressError, LivekitSession, parse_query
from captions.doors.native import messages as native
from captions.doors.native.connection import NativeConnection
from captions.doors.service import Service
from captions.engine.engine import Engine
from captions.metrics import Metrics
from captions.models.model import Model
from captions.rooms.rooms import RoomFull, Rooms
from captions.server.memory import give_memory_back
from captions.server.outbox import Outbox
from captions.server.pages import Page, Pages, TranscriptForm, transcript, transcript_form

__all__ = ["Server"]

log = logging.getLogger(__name__)

_KYUTAI_PATH = "/api/asr-streaming"
_PUBLISHING: dict[str, Literal["native", "kyutai", "livekit"]] = {
    "/v1/stream": "native",
    _KYUTAI_PATH: "kyutai",
    "/v1/livekit": "livekit",
}
_MOST_QUEUED_FRAMES = 128
"""Frames read ahead of a connection's handler: an SFU's socket carries a burst of every track's packets each 20 ms."""
_GOING_AWAY = 1001
_TRY_LATER = 1013
_HOUSEKEEPING_S = 10.0


@dataclass(frozen=True, slots=True)
class _Route:
    """Where a request goes. `kind` names the handler and labels the metrics; `room` is of watchers and readers."""

    kind: str
    room: str = ""
    form: TranscriptForm = "txt"


class _Connection(ServerConnection):
    """Lets plain HTTP answers out whole: websockets aborts after one, with what the socket has not taken yet."""

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        await super().handshake(*args, **kwargs)
        if self.state is not State.OPEN:
            self.transport.set_write_buffer_limits(0)
            await self.drain()


class _PublishingSession(Protocol):
    """A connection that sends audio, whichever its protocol."""

    async def receive(self, payload: bytes | str) -> None: ...

    def finish(self) -> None: ...

    def disconnected(self) -> None: ...


class Server:
    """One captions server. Call `run`, or `start` and `stop`; the model must be loaded, `start` warms it up."""

    def __init__(self, config: Config, model: Model) -> None:
        self._config = config
        self._metrics = Metrics()
        self._engine = Engine(model, config, self._metrics, time.monotonic)
        self._rooms = Rooms(config.rooms, config.limits.watchers_per_room)
        self._service = Service(
            engine=self._engine,
            rooms=self._rooms,
            metrics=self._metrics,
            limits=config.limits,
            clock=time.monotonic,
            new_id=_ids(),
        )
        self._pages = Pages()
        self._sessions: set[_PublishingSession] = set()
        self._outboxes: set[Outbox] = set()
        self._warm = False
        self._listening: WebSocketServer | None = None
        self._housekeeping: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port listened on; of use where the configuration says 0."""
        assert self._listening is not None
        port: int = self._listening.sockets[0].getsockname()[1]
        return port

    @property
    def tracks(self) -> int:
        """The tracks that are being published, or whose last words are still to come."""
        return self._engine.tracks

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until SIGTERM or SIGINT, then drain. `ready` is called once the model is warm."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        await self.start()
        ready()
        await stop.wait()
        log.info("draining", extra={"sessions": len(self._sessions), "tracks": self._engine.tracks})
        await self.stop()

    async def start(self) -> None:
        """Listen (not ready yet), warm the model up, and be ready."""
        server, limits = self._config.server, self._config.limits
        self._listening = await serve(
            self._serve,
            server.host,
            server.port,
            process_request=self._process_request,
            select_subprotocol=_select_subprotocol,
            create_connection=_Connection,
            compression=None,
            max_size=limits.message_bytes,
            max_queue=_MOST_QUEUED_FRAMES,
            ping_interval=20,
            ping_timeout=20,
            server_header=None,
        )
        log.info("listening", extra={"host": server.host, "port": self.port})
        self._engine.start()
        await self._engine.warm_up()
        self._warm = True
        self._housekeeping = asyncio.create_task(self._keep_house())
        info = self._engine.model.info
        log.info("ready", extra={"model": info.name, "lanes": info.lanes, "languages": ",".join(info.languages)})

    async def stop(self) -> None:
        """Drain: take nothing new, finish what was heard, send the final segments, close."""
        self._service.draining = True
        for connection in self._sessions:
            connection.finish()
        for session in tuple(self._service.sessions.values()):
            session.finish()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._config.server.drain_s):
                await self._engine.idle()
                for outbox in tuple(self._outboxes):
                    await outbox.written()
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        if self._listening is not None:
            self._listening.close(code=_GOING_AWAY, reason="the server is stopping")
            await self._listening.wait_closed()
        await self._engine.stop()

    async def _serve(self, connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        route = _route(request)
        assert route is not None
        gauge = self._metrics.connections.labels(route=route.kind)
        gauge.inc()
        if route.kind == "kyutai":
            self._metrics.asr_connect.inc()
            self._metrics.asr_open_channels.inc()
        outbox = Outbox(connection.send, self._config.limits.outbox_messages, lambda: self._too_slow(connection, route))
        self._outboxes.add(outbox)
        writer = asyncio.create_task(outbox.run())
        try:
            if route.kind == "watch":
                await self._watch(connection, route.room, outbox)
            else:
                await self._publish(connection, self._session(route, _query(request), outbox))
        except ConnectionClosed:
            pass
        finally:
            gauge.dec()
            if route.kind == "kyutai":
                self._metrics.asr_open_channels.dec()
            self._outboxes.discard(outbox)
            outbox.close()
            writer.cancel()
            with suppress(asyncio.CancelledError, ConnectionClosed):
                await writer

    def _session(self, route: _Route, query: Mapping[str, str], outbox: Outbox) -> _PublishingSession:
        service = self._service
        if route.kind == "kyutai":
            who = native.Participant(id=query.get("participant") or service.new_id(), name=query.get("name", ""))
            return KyutaiSession(service, outbox.send, who, query.get("room"))
        if route.kind == "livekit":
            return LivekitSession(service, parse_query(query))
        return NativeConnection(service, outbox.send)

    async def _publish(self, connection: ServerConnection, session: _PublishingSession) -> None:
        self._sessions.add(session)
        try:
            async for payload in connection:
                await session.receive(payload)
        finally:
            self._sessions.discard(session)
            session.disconnected()

    async def _watch(self, connection: ServerConnection, room: str, outbox: Outbox) -> None:
        try:
            self._rooms.watch(room, outbox, time.monotonic())
        except RoomFull as error:
            await connection.close(_TRY_LATER, str(error)[:120])
            return
        try:
            async for _ in connection:
                pass
        finally:
            self._rooms.leave(room, outbox)

    def _too_slow(self, connection: ServerConnection, route: _Route) -> None:
        self._metrics.readers_dropped.labels(route=route.kind).inc()
        log.warning("dropped a slow reader", extra={"route": route.kind})
        connection.transport.abort()

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer plain HTTP, refuse what may not pass, let WebSockets through."""
        path = urlsplit(request.path).path
        if path == "/healthz":
            return _text(connection, http.HTTPStatus.OK if not self._engine.failed else 500, "ok")
        if path == "/readyz":
            return self._answer_readiness(connection)
        if path == "/metrics":
            self._metrics.fullness.set(self._fullness())
            return _text(connection, 200, self._metrics.exposition().decode(), "text/plain; version=0.0.4")
        page = self._pages.answer(path, request.headers.get("If-None-Match", ""))
        if page is not None:
            return _page(page)
        if path in ("/api/build_info", "/api/modules_info"):
            return _text(connection, 200, self._kyutai_info(path), "application/json")
        route = _route(request)
        if route is None:
            return _text(connection, 404, "not found")
        if route.kind == "livekit":
            try:
                parse_query(_query(request))
            except EgressError as error:
                return _text(connection, 400, str(error))
        if not self._allowed(route, request):
            self._metrics.errors.labels(code="unauthorized").inc()
            return _text(connection, 401, "a valid key is needed: Authorization: Bearer KEY, or ?key=KEY")
        if route.kind == "transcript":
            segments = self._rooms.transcript(route.room)
            if segments is None:
                return _text(connection, 404, "this server keeps no transcripts: rooms.transcript_segments")
            return _page(transcript(segments, route.form))
        if self._is_full(route) or self._service.draining:
            return _text(connection, 503, "the server takes no more connections")
        return None

    def _answer_readiness(self, connection: ServerConnection) -> Response:
        if not self._warm or self._engine.failed:
            return _text(connection, 503, "not ready")
        if self._service.draining:
            return _text(connection, 503, "draining")
        full = self._engine.tracks >= self._config.limits.tracks
        return _text(connection, 503 if full else 200, f"{self._fullness():.0%} full")

    def _fullness(self) -> float:
        tracks = self._engine.tracks / self._config.limits.tracks
        return max(tracks, self._engine.lanes_share)

    def _kyutai_info(self, path: str) -> str:
        """What Kyutai's server answers there, as far as it has a meaning here."""
        if path == "/api/build_info":
            return json.dumps({"git_describe": f"captions {__version__}", "rustc_version": ""})
        info = self._engine.model.info
        module = {
            "type": "batched_asr",
            "path": _KYUTAI_PATH,
            "lm": info.name,
            "audio_tokenizer": info.name,
            "used_slots": str(self._engine.tracks),
            "total_slots": str(self._config.limits.tracks),
        }
        return json.dumps([module])

    def _allowed(self, route: _Route, request: Request) -> bool:
        keys = self._config.keys
        if not keys.publish:
            return True
        good = (*keys.publish, *keys.watch) if route.kind in ("watch", "transcript") else keys.publish
        given = _key_in(request).encode()
        return any(hmac.compare_digest(given, key.encode()) for key in good)

    def _is_full(self, route: _Route) -> bool:
        """Native clients are told at `start`, on an open socket, that there are too many tracks; others have no words
        for it, so they are not let in.
        """
        limits = self._config.limits
        if len(self._outboxes) >= limits.connections:
            return True
        return route.kind in ("kyutai", "livekit") and self._engine.tracks >= limits.tracks

    async def _keep_house(self) -> None:
        opened = 0
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            self._rooms.forget_idle(time.monotonic())
            if self._engine.tracks_opened > opened and not self._engine.tracks:
                opened = self._engine.tracks_opened
                give_memory_back()


def _route(request: Request) -> _Route | None:
    path = urlsplit(request.path).path
    if path in _PUBLISHING:
        return _Route(_PUBLISHING[path])
    parts = path.split("/")
    if len(parts) == 5 and parts[:3] == ["", "v1", "rooms"] and parts[3]:
        if parts[4] == "captions":
            return _Route("watch", unquote(parts[3]))
        form = transcript_form(parts[4])
        if form is not None:
            return _Route("transcript", unquote(parts[3]), form)
    return None


def _key_in(request: Request) -> str:
    """The key a request carries: as a bearer token, or in the query where headers cannot be set (browsers).

    Clients of Kyutai's server have their own header and parameter for it.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    query = _query(request)
    return request.headers.get("kyutai-api-key") or query.get("key") or query.get("auth_id") or ""


def _query(request: Request) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(request.path).query))


def _select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Ours if the client offers it; clients that name none are taken as they are."""
    del connection
    ours = Subprotocol(native.SUBPROTOCOL)
    return ours if ours in offered else None


def _page(page: Page) -> Response:
    headers = Headers(page.headers)
    if page.status != http.HTTPStatus.NOT_MODIFIED:
        headers["Content-Length"] = str(len(page.body))
    headers["Connection"] = "close"
    return Response(page.status, http.HTTPStatus(page.status).phrase, headers, page.body)


def _text(connection: ServerConnection, status: int, text: str, content_type: str = "text/plain") -> Response:
    del connection
    body = text.encode()
    headers = Headers()
    headers["Content-Type"] = f"{content_type}; charset=utf-8"
    headers["Content-Length"] = str(len(body))
    headers["Connection"] = "close"
    return Response(status, http.HTTPStatus(status).phrase, headers, body)


def _ids() -> Callable[[], str]:
    """Ids that sort by time: milliseconds since 1970, then a count."""
    count = itertools.count()
    return lambda: f"{time.time_ns() // 1_000_000:012x}-{next(count) & 0xFFFF_FFFF:08x}"
