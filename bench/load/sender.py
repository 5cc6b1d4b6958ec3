"""One process's share of the load: its connections, each paced in real time, and what came back.

A packet is due at a moment; it is late by as much as its sending began after that. Where a send has to wait because the
server does not read, packets that come due meanwhile are the server's to answer for, not the harness's: they are
counted as held up, not as late.

Where packets are gathered, those of a connection that come due within `gather_s` leave together at its end, as an SFU
would send them; each is due then.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.load.clips import AudioFormat
from bench.load.connection import Connection, open_connection
from bench.load.impair import Impairment, deliveries
from bench.measure.events import Done, Observation, TrackLog, Trouble
from bench.protocols import Dialect, DuePacket, ProtocolName, dialect_for
from captions.client import GATHER_S

__all__ = ["SenderReport", "SenderShare", "Target", "TrackPlan", "run_share"]

HELD_S = 0.02


@dataclass(frozen=True, slots=True)
class Target:
    """Where the load goes, in which protocol and format. `gather_s` 0: every packet by itself."""

    url: str
    protocol: ProtocolName = "native"
    key: str | None = None
    audio_format: AudioFormat = field(default_factory=AudioFormat)
    language: str = "en"
    impairment: Impairment = field(default_factory=Impairment)
    gather_s: float = GATHER_S

    @property
    def gathers(self) -> bool:
        return self.protocol == "native" and self.gather_s > 0


@dataclass(frozen=True, slots=True)
class TrackPlan:
    """One track's packets; the first sample of the first is captured `starts_s` after the start.

    `levels`: how loud each is, in -dBov, where the server is told.
    """

    track: str
    packets: tuple[bytes, ...]
    starts_s: float
    seed: int = 0
    levels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SenderShare:
    """What one process sends: each inner sequence of tracks is one connection.

    `done_within_s`: how long the server may take, after the end, to say that all is out.
    """

    target: Target
    connections: tuple[tuple[TrackPlan, ...], ...]
    done_within_s: float = 60.0


@dataclass(slots=True)
class SenderReport:
    """What one process did and saw. `late_ms`: of every packet, how long after its moment; `held_up`: see above."""

    logs: list[TrackLog] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    held_up: int = 0
    cpu_s: float = 0.0


async def run_share(share: SenderShare, connected: asyncio.Event, begin_at: asyncio.Future[float]) -> SenderReport:
    """Connect everything, set `connected`, wait for `begin_at` (on the monotonic clock), send, and wait for the ends.

    Raises:
        ConnectionRefused: a connection could not be made.
    """
    report = SenderReport()
    waiting = [asyncio.Event() for _ in share.connections]
    async with asyncio.TaskGroup() as group:
        for place, (tracks, ready) in enumerate(zip(share.connections, waiting, strict=True)):
            phase = place / len(share.connections)
            group.create_task(_run_connection(share, tracks, phase, ready, begin_at, report))
        for ready in waiting:
            await ready.wait()
        gc.collect()
        gc.freeze()
        connected.set()
    report.cpu_s = time.process_time()
    return report


async def _run_connection(
    share: SenderShare,
    tracks: Sequence[TrackPlan],
    phase: float,
    ready: asyncio.Event,
    begin_at: asyncio.Future[float],
    report: SenderReport,
) -> None:
    target = share.target
    names = [plan.track for plan in tracks]
    logs = {name: TrackLog(name) for name in names}
    report.logs += logs.values()
    dialect = dialect_for(
        target.protocol, target.url, target.key, names, target.audio_format, target.language, time.monotonic()
    )
    async with open_connection(dialect) as connection:
        ended = asyncio.Event()
        reading = asyncio.create_task(_read(connection, logs, ended))
        ready.set()
        pacer = _Pacer(tracks, target, phase, dialect, connection, logs, report)
        await pacer.run(await begin_at)
        padding = asyncio.create_task(_pad(connection, dialect))
        if dialect.lingers_s:
            await asyncio.sleep(dialect.lingers_s)
            ended.set()
        try:
            async with asyncio.timeout(share.done_within_s):
                await ended.wait()
        except TimeoutError:
            for log in logs.values():
                log.add(Trouble(log.track, time.monotonic(), f"not done {share.done_within_s:g} s after the end"))
        finally:
            padding.cancel()
            reading.cancel()


async def _read(connection: Connection, logs: dict[str, TrackLog], ended: asyncio.Event) -> None:
    """Log everything until every track is done or the connection is gone."""
    owed = set(logs)
    async for observation in connection:
        _log(observation, logs)
        if isinstance(observation, Done):
            owed.discard(observation.track)
            if not owed:
                break
    ended.set()


def _log(observation: Observation, logs: dict[str, TrackLog]) -> None:
    if observation.track in logs:
        logs[observation.track].add(observation)
    elif isinstance(observation, Trouble):
        for log in logs.values():
            log.add(observation)


async def _pad(connection: Connection, dialect: Dialect) -> None:
    """Silence in real time, for servers that work only while audio comes."""
    while dialect.padding is not None:
        await asyncio.sleep(dialect.audio_format.packet_s)
        for payload in dialect.audio([DuePacket("", 0, dialect.padding)]):
            await connection.send(payload)


class _Pacer:
    """Sends one connection's packets when they are due. `phase`, 0 to 1: where its gathering lies beside others'."""

    def __init__(
        self,
        tracks: Sequence[TrackPlan],
        target: Target,
        phase: float,
        dialect: Dialect,
        connection: Connection,
        logs: dict[str, TrackLog],
        report: SenderReport,
    ) -> None:
        self._dialect = dialect
        self._connection = connection
        self._logs = logs
        self._report = report
        self._packet_s = dialect.audio_format.packet_s
        self._tracks = tracks
        self._impairment = target.impairment
        self._gather_s = target.gather_s if target.gathers else 0.0
        self._phase = phase
        self._free_at = 0.0

    async def run(self, begin_at: float) -> None:
        """Until the last packet is out and the server was told."""
        queue: list[tuple[float, int, int, bool]] = []
        streams: list[Iterator[tuple[float, int, bool]]] = []
        for place, plan in enumerate(self._tracks):
            streams.append(iter(deliveries(len(plan.packets), self._packet_s, self._impairment, plan.seed)))
            self._queue_next(queue, place, streams[place], begin_at)
        while queue:
            moment = self._moment(queue[0][0], begin_at)
            wait_s = moment - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            due = [heapq.heappop(queue)]
            ended = [] if self._queue_next(queue, due[0][1], streams[due[0][1]], begin_at) else [due[0][1]]
            while self._gather_s and queue and queue[0][0] <= moment:
                due.append(heapq.heappop(queue))
                if not self._queue_next(queue, due[-1][1], streams[due[-1][1]], begin_at):
                    ended.append(due[-1][1])
            await self._send(due, moment)
            for place in ended:
                await self._finish(place)

    def _moment(self, due_at: float, begin_at: float) -> float:
        """When a packet is to leave: when it is due, or with those of its time to gather."""
        if not self._gather_s:
            return due_at
        offset = begin_at + self._phase * self._gather_s
        return offset + math.ceil((due_at - offset) / self._gather_s) * self._gather_s

    def _queue_next(
        self,
        queue: list[tuple[float, int, int, bool]],
        place: int,
        stream: Iterator[tuple[float, int, bool]],
        begin_at: float,
    ) -> bool:
        """Queue a track's next packet; False if it has no more."""
        following = next(stream, None)
        if following is None:
            return False
        offset_s, number, arrives = following
        heapq.heappush(queue, (begin_at + self._tracks[place].starts_s + offset_s, place, number, arrives))
        return True

    async def _send(self, due: Sequence[tuple[float, int, int, bool]], moment: float) -> None:
        """What leaves at one moment."""
        began_at = time.monotonic()
        packets = []
        for due_at, place, number, arrives in due:
            plan = self._tracks[place]
            if moment < self._free_at:
                self._report.held_up += 1
            else:
                self._report.late_ms.append((began_at - moment) * 1_000)
            self._logs[plan.track].sent.add((number + 1) * self._packet_s, began_at)
            if arrives:
                level = plan.levels[number] if plan.levels else None
                packets.append(DuePacket(plan.track, number, plan.packets[number], due_at - self._packet_s, level))
        for payload in self._dialect.audio(packets):
            await self._connection.send(payload)
        ended_at = time.monotonic()
        if ended_at - began_at > HELD_S:
            self._free_at = ended_at

    async def _finish(self, place: int) -> None:
        track = self._tracks[place].track
        self._logs[track].finished_at = time.monotonic()
        for payload in self._dialect.finishing(track):
            await self._connection.send(payload)
