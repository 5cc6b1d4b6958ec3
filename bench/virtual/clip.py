"""A clip through a whole server in virtual time: what its captions are worth when nothing but the model takes time.

Real sessions, stages, scheduler and model; no sockets, threads or sleeps. Each step of the model takes as long as it
kept the processor busy, so other load on the machine does not decide, and two policies can be compared word by word.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.load.clips import AudioFormat, Clip, packets_of
from bench.measure.events import TrackLog
from bench.measure.metrics import Samples, measure
from bench.protocols.dialect import DuePacket
from bench.protocols.native import NativeDialect
from captions.config import Config
from captions.doors.grant import ANYTHING
from captions.doors.native.session import Session
from captions.doors.service import Service
from captions.engine.engine import Engine
from captions.engine.runner import runner_of
from captions.metrics import Metrics
from captions.models.model import Batch, LaneOutput, Model, ModelInfo
from captions.rooms.memory import MemoryRooms

__all__ = ["Heard", "hear"]

_TRACK = "track"


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a clip. `model_s`: how long the model kept the processor busy."""

    log: TrackLog
    samples: Samples
    model_s: float
    audio_s: float

    @property
    def cores(self) -> float:
        """How much of a core the model needed."""
        return self.model_s / self.audio_s

    @property
    def text(self) -> str:
        """The committed words, as they stood at the end."""
        units = {seen.unit: seen for seen in self.log.seen}
        return " ".join(word.text for seen in units.values() for word in seen.committed)


def hear(clip: Clip, model: Model, warm_up_s: float = 0.0, config: Config | None = None) -> Heard:
    """One clip as Opus in 20 ms packets. The model stays open; words before `warm_up_s` have no latency."""
    return asyncio.run(_Listening(model, config or Config()).hear(clip, warm_up_s))


class _Listening:
    def __init__(self, model: Model, config: Config) -> None:
        self._now = 0.0
        self._model = _Timed(model, self._pass)
        self._log = TrackLog(_TRACK)
        self._wire = AudioFormat()
        self._dialect = NativeDialect("ws://virtual", None, [_TRACK], self._wire, "bench", 0.0)
        metrics = Metrics()
        ids = itertools.count()
        runner = runner_of(self._model, config, self._clock)
        self._engine = Engine(runner, config, metrics, self._clock, post=lambda call: call())
        rooms = MemoryRooms(config.rooms, config.limits.watchers_per_room)
        service = Service(
            self._engine, rooms, metrics, config.limits, self._clock, self._clock, lambda: f"{next(ids):016x}"
        )
        self._session = Session(service, "msgpack", self._sent, ANYTHING)

    async def hear(self, clip: Clip, warm_up_s: float) -> Heard:
        for payload in self._dialect.opening():
            await self._session.receive(payload)
        for number, packet in enumerate(packets_of(clip.pcm, self._wire)):
            due = (number + 1) * self._wire.packet_s
            self._now = max(self._now, due)
            self._log.sent.add(due, due)
            for payload in self._dialect.audio([DuePacket(_TRACK, number, packet, due)]):
                await self._session.receive(payload)
            self._engine.turn()
        self._log.finished_at = self._now
        for payload in self._dialect.finishing(_TRACK):
            await self._session.receive(payload)
        self._engine.turn()
        self._session.detach()
        self._session.finish()
        self._engine.turn()
        return Heard(self._log, measure(self._log, clip.truth, warm_up_s), self._model.busy_s, clip.duration_s)

    def _sent(self, payload: bytes | str) -> None:
        for observation in self._dialect.receive(payload, self._now):
            self._log.add(observation)

    def _pass(self, seconds: float) -> None:
        self._now += seconds

    def _clock(self) -> float:
        return self._now


class _Timed:
    """A model whose every step takes virtual time: as much as it used of the processor."""

    def __init__(self, model: Model, passing: Callable[[float], None]) -> None:
        self._model = model
        self._passing = passing
        self.busy_s = 0.0

    @property
    def info(self) -> ModelInfo:
        return self._model.info

    def warm_up(self) -> None:
        self._model.warm_up()

    def reset(self, lanes: Sequence[int]) -> None:
        self._model.reset(lanes)

    def step(self, batch: Batch) -> list[LaneOutput]:
        began = time.process_time()
        outputs = self._model.step(batch)
        took = time.process_time() - began
        self.busy_s += took
        self._passing(took)
        return outputs

    def close(self) -> None:
        self._model.close()
