"""Listening, the census of what is held, housekeeping, and draining."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from captions import __version__
from captions.cluster.node import Node, address_of
from captions.cluster.nodes import Nodes
from captions.config import Config, ConfigError
from captions.doors.native import messages as native
from captions.doors.openai import messages as openai
from captions.doors.service import Service
from captions.engine.absent import AbsentEngine
from captions.engine.engine import Engine, EngineCensus, RunnerMaker
from captions.engine.orders import first_track_of
from captions.engine.runner import runner_of
from captions.metrics import Metrics
from captions.models.model import Model
from captions.rooms.choice import bus_for, rooms_for
from captions.server.admission import Admission
from captions.server.admission import address_of as client_of
from captions.server.answers import Answers
from captions.server.connection import Connection, headers_of, path_of, query_of, response
from captions.server.connections import Connections
from captions.server.doorstep import Doorstep
from captions.server.fullness import Fullness
from captions.server.http_orders import HttpOrders
from captions.server.memory import Freed, keep_what_is_loaded
from captions.server.pages import Page, text
from captions.server.rtp_port import RtpPort
from captions.server.tls import Certificate
from captions.server.unread_answers import UnreadAnswers

__all__ = ["Census", "Front", "Server", "ServerFailed"]

log = logging.getLogger(__name__)

_GOING_AWAY = 1001
_INTERNAL_ERROR = 1011
_WATCH_S = 0.05
"""How often the two worker threads and the event loop itself are looked after."""
_HOUSEKEEPING_S = 5.0
_LAST_WORDS_S = 3.0
"""What is left of `drain_s` for the last words of tracks that did not move to another node."""
_LEAVE_SHARE = 0.8
"""After that much of the time they have, tracks that never pause move in the middle of speech."""


@dataclass(frozen=True, slots=True)
class Census:
    """What a server holds for its clients, counted where it is kept: all of it is 0 when nobody is there.

    `publishing`: connections that send audio; `sessions`: native ones, whose client may be gone for a while.
    """

    connections: int
    publishing: int
    sessions: int
    watchers: int
    speaking: int
    engine: EngineCensus


@dataclass(frozen=True, slots=True)
class Front:
    """One process of several that share the port: its number, from 1, and what reaches the model."""

    number: int
    make_runner: RunnerMaker


class ServerFailed(Exception):
    """The server cannot go on and whoever runs it has to start it again; the message says why.

    `stuck`: a thread stands still, so that the process must be left without waiting for it.
    """

    def __init__(self, message: str, *, stuck: bool) -> None:
        super().__init__(message)
        self.stuck = stuck


class Server:
    """One captions server. Call `run`, or `start` and `stop`, which warms the model up.

    Without a model it is a gateway; see `cluster.role`. As the `front` of a model in another process it is given who
    reaches it; see fronts.py.

    `clock` is the monotonic one that every moment is read off; `wall_clock` the one that tokens go by, in seconds since
    1970. `rooms` may be published into by who has no audio. `reread` gives the configuration as it is by now.

    Raises:
        ConfigError: the certificate or a public key cannot be read.
    """

    def __init__(
        self,
        config: Config,
        model: Model | None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        reread: Callable[[], Config] | None = None,
        *,
        front: Front | None = None,
    ) -> None:
        self._config = config
        self._reread = reread or (lambda: config)
        self._certificate = Certificate(config.server) if config.server.tls_cert else None
        self._clock = clock
        self._wall_clock = wall_clock
        self._metrics = Metrics()
        self._engine = self._engine_of(model, front)
        self._shares_port = front is not None
        self._id = secrets.token_hex(4)
        self._started_at = wall_clock()
        bus = self._bus = bus_for(config)
        self.rooms = rooms_for(config, self._metrics, bus, self._id)
        self._nodes = Nodes(bus, self._id, self._describe, self._bury, self._name_others)
        self._service = Service(
            engine=self._engine,
            rooms=self.rooms,
            metrics=self._metrics,
            limits=config.limits,
            clock=clock,
            wall_clock=wall_clock,
            new_id=_ids(),
            elsewhere=self._nodes.elsewhere,
            others=self._nodes.others,
        )
        self._unread = UnreadAnswers(config.limits.answer_bytes)
        self._doorstep = Doorstep(config.limits.handshakes)
        admission = Admission(config.limits)
        self._fullness = Fullness(self._service, admission, self._doorstep, self._unread)
        self._answers = Answers(config, self._service, admission, self._fullness, self._nodes)
        self._connections = Connections(self._service, config.limits)
        self._rtp = RtpPort(config.rtp, self._service) if config.rtp.listen else None
        rtp = self._rtp.session if self._rtp is not None else None
        self._orders = HttpOrders(self._service, self._answers, rtp, speaks_tls=self._certificate is not None)
        self._listening: WebSocketServer | None = None
        self._port: int | None = None
        self._housekeeping: asyncio.Task[None] | None = None
        self._reading_again: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._failed = asyncio.Event()
        self._is_stuck = False

    @property
    def port(self) -> int:
        """The port listened on, also once it is closed; of use where the configuration says 0."""
        assert self._port is not None
        return self._port

    @property
    def is_draining(self) -> bool:
        """It stops, and takes nothing new."""
        return self._service.draining

    def census(self) -> Census:
        return Census(
            connections=len(self._connections),
            publishing=self._connections.publishing,
            sessions=len(self._service.sessions),
            watchers=self.rooms.watchers,
            speaking=int(self._metrics.registry.get_sample_value("captions_tracks_speaking") or 0),
            engine=self._engine.census(),
        )

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until SIGTERM or SIGINT, then drain. `ready` is called once the model is warm. SIGHUP: `read_again`.

        Raises:
            ServerFailed: the model or what hears the audio has failed. Everybody was told, and all is closed.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        stopping = asyncio.create_task(stop.wait())
        if await _first(stopping, asyncio.create_task(self.start())):
            keep_what_is_loaded()
            ready()
            await _first(stopping, asyncio.create_task(self._failed.wait()))
        log.info("draining", extra={"connections": len(self._connections), "tracks": self._engine.tracks})
        await self.stop()
        failure = self._engine.failure
        if failure is not None or self._is_stuck:
            raise ServerFailed("a thread does not end" if failure is None else failure.message, stuck=self._is_stuck)

    async def start(self) -> None:
        """Listen (not ready yet), warm the model up, and be ready."""
        server, limits = self._config.server, self._config.limits
        self._listening = await serve(
            self._connections.serve,
            server.host,
            server.port,
            process_request=self._process_request,
            select_subprotocol=_select_subprotocol,
            ssl=self._certificate.context if self._certificate is not None else None,
            create_connection=cast("type[Connection]", partial(Connection, doorstep=self._doorstep)),
            compression=None,
            max_size=limits.message_bytes,
            max_queue=None,  # counted in bytes instead: read_ahead.py
            ping_interval=20,
            ping_timeout=20,
            server_header=None,
            reuse_port=self._shares_port or None,
        )
        self._port = self._listening.sockets[0].getsockname()[1]
        log.info("listening", extra={"host": server.host, "port": self.port})
        await self.rooms.start()
        self._engine.start()
        if self._rtp is not None:
            self._rtp.start()
        await self._engine.warm_up()
        await self._nodes.start()
        self._housekeeping = asyncio.create_task(self._keep_house())
        self._watching = asyncio.create_task(self._watch())
        info = self._engine.info
        log.info("ready", extra={"model": info.name, "lanes": info.lanes, "languages": ",".join(info.languages)})

    async def read_again(self) -> None:
        """Go by the keys, issuers of tokens, origins and certificate that the configuration names now.

        Whoever is connected by a key that is no longer good is disconnected. A configuration that cannot be read
        changes nothing, and is logged.
        """
        try:
            config = self._reread()
            if self._certificate is not None:
                self._certificate.load(config.server)
            self._answers.read_again(config)
        except ConfigError as error:
            log.error("the configuration was not read again", extra={"error": str(error)})
            return
        closed = await self._connections.close_ungranted(self._answers.still_grants)
        log.info("keys and certificate read again", extra={"connections_closed": closed})

    async def stop(self) -> None:
        """Drain: take nothing new, finish what was heard, send the final segments, close. What has failed is closed."""
        self._service.draining = True
        await self._nodes.tell()
        failing = asyncio.create_task(self._failed.wait())
        with suppress(TimeoutError):
            async with asyncio.timeout(self._config.server.drain_s):
                await self._let_leave(failing)
                self._connections.finish()
                if self._rtp is not None:
                    self._rtp.session.finish()
                for session in tuple(self._service.sessions.values()):
                    session.finish()
                await _first(failing, asyncio.create_task(self._engine.idle()))
                await self._connections.written()
        for task in (self._housekeeping, self._watching, failing):
            if task is not None:
                task.cancel()
        if self._listening is not None:
            if self._engine.failure is None:
                self._listening.close(code=_GOING_AWAY, reason="the server is stopping")
            else:
                self._listening.close(code=_INTERNAL_ERROR, reason=f"the server failed: {self._engine.failure.word}")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._config.server.drain_s):
                    await self._listening.wait_closed()
        if self._rtp is not None:
            self._rtp.stop()
        tracks_left = self._engine.tracks
        self._is_stuck = not await self._engine.stop()
        await self._nodes.stop(well=not tracks_left)
        await self.rooms.stop()

    def _engine_of(self, model: Model | None, front: Front | None) -> Engine:
        if front is not None:
            first = first_track_of(front.number)
            return Engine(front.make_runner, self._config, self._metrics, self._clock, first_track=first)
        if model is None:
            return AbsentEngine()
        return Engine(runner_of(model, self._config, self._clock), self._config, self._metrics, self._clock)

    async def _let_leave(self, failing: asyncio.Task[Any]) -> None:
        """Where there are other nodes, clients that can move do so; who cannot is heard until the end is near."""
        stay_s = self._config.server.drain_s - _LAST_WORDS_S
        if stay_s <= 0 or self._service.elsewhere() is None:
            return
        for session in tuple(self._service.sessions.values()):
            session.ask_to_leave(stay_s * _LEAVE_SHARE)
        with suppress(TimeoutError):
            async with asyncio.timeout(stay_s):
                await _first(failing, asyncio.create_task(self._engine.idle()))

    def _name_others(self) -> None:
        """Clients are told of other nodes than before: those they knew may be gone when this one is lost."""
        for session in tuple(self._service.sessions.values()):
            session.name_others()

    async def _bury(self, node: str) -> None:
        """Close what a lost node has left open."""
        if self._bus is not None:
            from captions.rooms.burial import bury

            closed = await bury(node, self._bus, self.rooms, self._clock)
            self._metrics.segments_interrupted.inc(closed)
            log.info("closed what a lost node left open", extra={"lost": node, "segments": closed})

    def _on_hangup(self) -> None:
        self._reading_again = asyncio.create_task(self.read_again())

    async def _watch(self) -> None:
        """See whether the threads get on, and how late the event loop is: what was to come now comes later."""
        loop = asyncio.get_running_loop()
        while self._engine.look() is None:
            due_at = loop.time() + _WATCH_S
            await asyncio.sleep(_WATCH_S)
            self._fullness.look(loop.time() - due_at)
        self._failed.set()

    def _describe(self) -> Node:
        """This node, as the others and the operator see it."""
        info = self._engine.info
        return Node(
            id=self._id,
            address=address_of(self._config, self.port),
            role=self._config.cluster.role,
            model=info.name,
            languages=tuple(info.languages),
            fullness=round(self._fullness.worst(), 3),
            draining=self._service.draining,
            tracks=self._engine.tracks,
            watchers=self.rooms.watchers,
            version=__version__,
            started_at=round(self._started_at, 3),
        )

    async def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer plain HTTP, refuse what may not pass, let WebSockets through."""
        assert isinstance(connection, Connection)
        try:
            path, query = path_of(request), query_of(request)
        except ValueError:
            return response(text(400, "no address of this server begins like that"))
        headers = headers_of(request)
        address = client_of(connection.peer, headers, self._config.server.proxies)
        if request.method not in ("GET", "HEAD"):
            return response(self._orders.answer(request.method, path, query, headers, connection.body))
        answer = await self._answers.answer(path, query, headers, address, self._wall_clock())
        if isinstance(answer, Page):
            connection.answer = self._unread.admit(len(answer.body))
            return response(answer if connection.answer is not None else text(503, "too many answers wait to be read"))
        connection.grant, connection.place = answer.grant, answer.place
        return None

    async def _keep_house(self) -> None:
        freed = Freed()
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            self.rooms.forget_idle(self._clock())
            await asyncio.to_thread(freed.look, len(self._connections))
            if self._rtp is not None:
                self._rtp.session.sweep(self._clock())


async def _first(one: asyncio.Task[Any], other: asyncio.Task[Any]) -> bool:
    """Wait for one of two, raise what the other raises. Whether it was the other, which is cancelled if not."""
    try:
        await asyncio.wait((one, other), return_when=asyncio.FIRST_COMPLETED)
        if other.done():
            await other
            return True
        return False
    finally:
        other.cancel()


def _select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """One that we know if the client offers it; clients that name none are taken as they are."""
    del connection
    return next((Subprotocol(known) for known in (native.SUBPROTOCOL, openai.SUBPROTOCOL) if known in offered), None)


def _ids() -> Callable[[], str]:
    """Ids that sort by time: milliseconds since 1970, then a count."""
    count = itertools.count()
    return lambda: f"{time.time_ns() // 1_000_000:012x}-{next(count) & 0xFFFF_FFFF:08x}"
