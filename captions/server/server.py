"""One server: what it is made of, its start and its end, and the census of what it holds."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from captions import __version__
from captions.cluster.node import Node, address_of
from captions.cluster.nodes import Nodes
from captions.config import Config, ConfigError
from captions.doors.service import Service
from captions.engine.absent import AbsentEngine
from captions.engine.engine import Engine, EngineCensus, RunnerMaker
from captions.engine.orders import first_track_of
from captions.engine.runner import runner_of
from captions.metrics import Metrics
from captions.models.model import Model
from captions.rooms.choice import bus_for, rooms_for
from captions.server.admission import Admission
from captions.server.answers import Answers
from captions.server.connections import Connections
from captions.server.doorstep import Doorstep
from captions.server.drain import Drain
from captions.server.fullness import Fullness
from captions.server.http_orders import HttpOrders
from captions.server.memory import keep_what_is_loaded
from captions.server.port import Port
from captions.server.rtp_port import RtpPort
from captions.server.tls import Certificate
from captions.server.unless import unless
from captions.server.unread_answers import UnreadAnswers
from captions.server.upkeep import Upkeep

__all__ = ["Census", "Front", "Server", "ServerFailed"]

log = logging.getLogger(__name__)

_GOING_AWAY = 1001
_INTERNAL_ERROR = 1011


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
        self._metrics = Metrics()
        self._engine = self._engine_of(model, front)
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
        unread = UnreadAnswers(config.limits.answer_bytes)
        doorstep = Doorstep(config.limits.handshakes)
        admission = Admission(config.limits)
        self._fullness = Fullness(self._service, admission, doorstep, unread)
        self._answers = Answers(config, self._service, admission, self._fullness, self._nodes)
        self._connections = Connections(self._service, config.limits)
        self._rtp = RtpPort(config.rtp, self._service) if config.rtp.listen else None
        rtp = self._rtp.session if self._rtp is not None else None
        self._port = Port(
            config,
            self._certificate,
            doorstep,
            unread,
            self._answers,
            HttpOrders(self._service, self._answers, rtp, speaks_tls=self._certificate is not None),
            self._connections,
            wall_clock,
            shared=front is not None,
        )
        self._upkeep = Upkeep(self._service, self._connections, self._fullness, rtp)
        self._drain = Drain(self._service, self._connections, rtp, config.server.drain_s)
        self._reading_again: asyncio.Task[None] | None = None
        self._is_stuck = False

    @property
    def port(self) -> int:
        """The port listened on, also once it is closed; of use where the configuration says 0."""
        return self._port.number

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
        if await unless(stopping, asyncio.create_task(self.start())):
            keep_what_is_loaded()
            ready()
            await unless(stopping, asyncio.create_task(self._upkeep.failed.wait()))
        log.info("draining", extra={"connections": len(self._connections), "tracks": self._engine.tracks})
        await self.stop()
        failure = self._engine.failure
        if failure is not None or self._is_stuck:
            raise ServerFailed("a thread does not end" if failure is None else failure.message, stuck=self._is_stuck)

    async def start(self) -> None:
        """Listen (not ready yet), warm the model up, and be ready."""
        await self._port.open()
        await self.rooms.start()
        self._engine.start()
        if self._rtp is not None:
            self._rtp.start()
        await self._engine.warm_up()
        await self._nodes.start()
        self._upkeep.start()
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
        failing = asyncio.create_task(self._upkeep.failed.wait())
        await self._drain.run(failing)
        failing.cancel()
        self._upkeep.stop()
        await self._close_port()
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

    async def _close_port(self) -> None:
        failure, within_s = self._engine.failure, self._config.server.drain_s
        if failure is None:
            await self._port.close(_GOING_AWAY, "the server is stopping", within_s)
        else:
            await self._port.close(_INTERNAL_ERROR, f"the server failed: {failure.word}", within_s)

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


def _ids() -> Callable[[], str]:
    """Ids that sort by time: milliseconds since 1970, then a count."""
    count = itertools.count()
    return lambda: f"{time.time_ns() // 1_000_000:012x}-{next(count) & 0xFFFF_FFFF:08x}"
