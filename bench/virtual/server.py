"""A whole server in virtual time: real sessions, stages and scheduler, no sockets, threads or sleeps.

An hour passes as fast as the stages run. Sessions come and go all the while, as they would.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from bench.load.clips import AudioFormat, packets_of, two_cities
from bench.measure.process import open_files, resident_mb
from bench.servers.speaking_model import SpeakingModel
from captions.config import Config, RoomsConfig
from captions.doors.grant import ANYTHING
from captions.doors.native import messages as native
from captions.doors.native.session import Session
from captions.doors.service import Service
from captions.engine.engine import Engine
from captions.engine.runner import runner_of
from captions.metrics import Metrics
from captions.rooms.memory import MemoryRooms

__all__ = ["Health", "VirtualServer", "soak"]

PACKET_S = 0.02
_HOUSEKEEPING_S = 10.0


@dataclass(frozen=True, slots=True)
class Health:
    """The process at a moment of virtual time, after a collection of garbage."""

    at_s: float
    resident_mb: float
    files: int
    tasks: int
    threads: int
    objects: int
    tracks: int
    words: int
    segments: int


class VirtualServer:
    """`connect` gives a session; pass time with `advance`. What clients are sent is counted and dropped."""

    def __init__(self, lanes: int) -> None:
        self.now = 0.0
        self.words = 0
        self.segments = 0
        config = Config(rooms=RoomsConfig(forget_after_s=60.0))
        metrics = Metrics()

        def clock() -> float:
            return self.now

        runner = runner_of(SpeakingModel(lanes, step_s=0.0), config, clock)
        self._engine = Engine(runner, config, metrics, clock, post=lambda call: call())
        self._rooms = MemoryRooms(config.rooms, config.limits.watchers_per_room)
        ids = itertools.count()
        self._service = Service(
            self._engine, self._rooms, metrics, config.limits, clock, clock, lambda: f"{next(ids):016x}"
        )
        self._kept_house_at = 0.0

    @property
    def tracks(self) -> int:
        return self._engine.tracks

    def connect(self) -> Session:
        return Session(self._service, "msgpack", self._sent, ANYTHING)

    def advance(self) -> None:
        """One packet's time: what came in is heard, stepped and sent."""
        self.now += PACKET_S
        self._engine.turn()
        if self.now - self._kept_house_at >= _HOUSEKEEPING_S:
            self._rooms.forget_idle(self.now)
            self._kept_house_at = self.now

    def _sent(self, payload: bytes | str) -> None:
        message = native.decode_server(payload)
        if isinstance(message, native.Segment) and message.final:
            self.segments += 1
            self.words += len(message.words)


@dataclass(slots=True)
class _Caller:
    """One participant: joins, speaks a quarter of the time, leaves, joins another room under another name."""

    server: VirtualServer
    chance: random.Random
    speech: list[bytes]
    silence: list[bytes]
    number: int
    session: Session | None = None
    track: str = ""
    leaves_at: float = 0.0
    _playing: Iterator[bytes] = field(default_factory=lambda: iter(()))

    async def tick(self) -> None:
        """Send the packet that is due."""
        if self.session is None or self.server.now >= self.leaves_at:
            await self._rejoin()
        assert self.session is not None
        packet = next(self._playing, None)
        if packet is None:
            self._playing = self._next_turn()
            packet = next(self._playing)
        await self.session.receive(_encoded(native.Audio(self.track, packet)))

    async def _rejoin(self) -> None:
        if self.session is not None:
            self.session.detach()
            self.session.finish()
        self.session = self.server.connect()
        self.number += 1
        self.track = f"track{self.number}"
        self.leaves_at = self.server.now + self.chance.uniform(30.0, 300.0)
        room = f"room{self.number // 4}"
        await self.session.receive(_encoded(native.Start(room, self.track, "opus")))

    def _next_turn(self) -> Iterator[bytes]:
        """Some seconds of silence, or of speech: a quarter of the time speech."""
        packets = round(self.chance.uniform(2.0, 8.0) / PACKET_S)
        source = self.speech if self.chance.random() < 0.25 else self.silence
        start = self.chance.randrange(len(source))
        return itertools.islice(itertools.cycle(source[start:] + source[:start]), packets)


async def soak(
    seconds: float, callers: int, seed: int, every_s: float, tick: Callable[[float], None] = lambda _elapsed_s: None
) -> list[Health]:
    """So many virtual seconds of `callers` people in meetings; health every `every_s` of them."""
    server = VirtualServer(lanes=max(2, callers // 2))
    wire = AudioFormat()
    speech = packets_of(two_cities().pcm, wire)
    silence = packets_of(np.zeros(48_000, np.float32), wire)
    chance = random.Random(seed)
    people = [_Caller(server, random.Random(chance.random()), speech, silence, 10_000 * n) for n in range(callers)]
    health = [_health(server)]
    for _ in range(round(seconds / PACKET_S)):
        for person in people:
            await person.tick()
        server.advance()
        if server.now - health[-1].at_s >= every_s - PACKET_S / 2:
            health.append(_health(server))
            tick(server.now)
    return health


def _health(server: VirtualServer) -> Health:
    gc.collect()
    pid = os.getpid()
    return Health(
        at_s=server.now,
        resident_mb=resident_mb(pid),
        files=open_files(pid),
        tasks=len(asyncio.all_tasks()),
        threads=threading.active_count(),
        objects=len(gc.get_objects()),
        tracks=server.tracks,
        words=server.words,
        segments=server.segments,
    )


def _encoded(message: native.ClientMessage) -> bytes | str:
    return native.encode(message, "msgpack")
