"""Listener and model behind one door for the event loop: open a track, tell it what comes, get back what is said.

See orders.py for what crosses between the threads. Both workers post their results to the loop, a whole turn or step at
a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from captions.config import Config
from captions.engine.lateness import Lateness
from captions.engine.listener import Listener
from captions.engine.orders import (
    HearingEvent,
    Notice,
    Order,
    PacketArrived,
    PushFrame,
    StepReport,
    StepResults,
    TrackClosed,
    TrackOpened,
    Turn,
)
from captions.engine.policies import gate_policy
from captions.engine.worker import Worker
from captions.metrics import Metrics
from captions.models.model import ModelError, ModelInfo
from captions.stream.codec import Codec
from captions.types import Gap, ModelFailed, TrackEvent
from captions.vad.silero import SileroVad

__all__ = ["Engine", "EngineCensus", "Failure", "ModelRunner", "Post", "RunnerMaker", "TrackSink"]

Post: TypeAlias = Callable[[Callable[[], None]], None]
"""Has something run on the event loop, soon; called from any thread."""


class ModelRunner(Protocol):
    """Who runs the model: a thread of this process (runner.py), or another process (remote_runner.py).

    See `Runner`. `tracks` and `lanes_in_use` are for the census.
    """

    @property
    def info(self) -> ModelInfo: ...

    @property
    def is_warm(self) -> bool: ...

    @property
    def failure(self) -> str | None: ...

    @property
    def worker(self) -> Worker: ...

    @property
    def tracks(self) -> int: ...

    @property
    def lanes_in_use(self) -> int: ...

    def start(self) -> None: ...

    def turn(self) -> bool: ...

    def submit(self, orders: list[Order]) -> list[PushFrame]: ...

    def stop(self, timeout_s: float) -> bool: ...


RunnerMaker: TypeAlias = Callable[[Callable[[StepResults], None], Callable[[], None]], ModelRunner]
"""Makes the runner, of what it is to deliver its results to, and what it is to call once the model is warm."""


class TrackSink(Protocol):
    """Where a track's results go, on the event loop."""

    def heard(self, event: HearingEvent) -> None: ...

    def said(self, events: Sequence[TrackEvent]) -> None: ...


@dataclass(frozen=True, slots=True)
class EngineCensus:
    """What the engine holds, counted in each of its parts: all of it is 0 when no track is open."""

    tracks: int
    listened_tracks: int
    detector_streams: int
    scheduled_tracks: int
    lanes_in_use: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why nothing is heard or said any more. `word` says it to machines: whose failure it is, and of which kind."""

    word: Literal["model_failed", "model_hung", "listener_failed", "listener_hung"]
    message: str


class Engine:
    """Call `start` on the event loop, then `open`, `tell` and `close` for each track; `stop` ends both threads.

    Where `post` is given it is used to reach the event loop, and `turn` may be called by hand instead of `start`.
    `most_waiting`: the notices that may wait for the listener. Tracks are numbered from behind `first_track`.
    """

    def __init__(
        self,
        make_runner: RunnerMaker,
        config: Config,
        metrics: Metrics,
        clock: Callable[[], float],
        *,
        post: Post | None = None,
        most_waiting: int = 100_000,
        first_track: int = 0,
    ) -> None:
        self._runner = make_runner(self._on_results, lambda: self._post(self._warm.set))
        self._metrics = metrics
        self._sinks: dict[int, TrackSink] = {}
        self._next_track = first_track
        self._lanes_share = 0.0
        self._strain = Lateness()
        self._idle = asyncio.Event()
        self._idle.set()
        self._post = post or (lambda _call: None)
        self._finds_loop = post is None
        gate = gate_policy(self._runner.info, config)
        self._most_pending_bytes = config.limits.pending_bytes
        self._told_bytes = 0
        self._clock = clock
        self._hang_s = config.server.hang_s
        self._failure: Failure | None = None
        self._warm = asyncio.Event()
        self._listener = Listener(
            SileroVad(),
            gate,
            self._on_turn,
            clock,
            most_pending_s=config.limits.pending_audio_s,
            max_notices=most_waiting,
            skips_silence=config.vad.skip_silence,
        )
        metrics.lanes.set(self.info.lanes)

    def start(self) -> None:
        if self._finds_loop:
            self._post = _poster(asyncio.get_running_loop())
        self._runner.start()
        self._listener.start()

    def turn(self) -> None:
        """Hear what has come in and run the model on it, here and now: for virtual time, without the two threads."""
        going_on = True
        while going_on:
            turn = self._listener.turn()
            if turn.orders or turn.heard:
                self._on_turn(turn)
            going_on = self._listener.has_rest
        while self._runner.turn():
            pass

    async def warm_up(self) -> None:
        """Wait until the model is ready for its first step.

        Raises:
            ModelError: it will never be.
        """
        await self._warm.wait()
        if self._runner.failure is not None:
            raise ModelError(self._runner.failure)
        for lanes, taken_s in self.info.measured:
            self._metrics.full_step_seconds.labels(lanes=lanes).set(taken_s)

    async def idle(self) -> None:
        """Wait until no track is open."""
        await self._idle.wait()

    async def stop(self) -> bool:
        """End both threads. False: one of them does not end, and the process has to be left with it still running."""
        timeout_s = 0.0 if self._failure is not None and self._failure.word.endswith("hung") else self._hang_s
        heard = await asyncio.to_thread(self._listener.stop, timeout_s)
        said = await asyncio.to_thread(self._runner.stop, timeout_s)
        return heard and said

    @property
    def info(self) -> ModelInfo:
        """What the model is."""
        return self._runner.info

    @property
    def is_warm(self) -> bool:
        """The model is ready for steps, or has failed to get ready."""
        return self._runner.is_warm

    @property
    def failure(self) -> Failure | None:
        """Why only a restart helps, once it does."""
        if self._failure is None and self._runner.failure is not None:
            self._failure = Failure("model_failed", self._runner.failure)
        return self._failure

    def look(self) -> Failure | None:
        """See whether both threads are alive and get on; call it now and then. If not, every track is told, once."""
        if self.failure is None:
            self._failure = self._seen_failure(self._clock())
            if self._failure is not None:
                for sink in tuple(self._sinks.values()):
                    sink.said([ModelFailed(self._failure.message)])
        return self._failure

    def _seen_failure(self, now: float) -> Failure | None:
        if self._listener.failure is not None:
            return Failure("listener_failed", self._listener.failure)
        if self._listener.worker.busy_for(now) > self._hang_s:
            return Failure("listener_hung", f"a turn of the listener takes longer than {self._hang_s:g} s")
        if self._runner.worker.busy_for(now) > self._hang_s:
            return Failure("model_hung", f"a step of the model takes longer than {self._hang_s:g} s")
        return None

    @property
    def lanes_share(self) -> float:
        """The share of lanes that are busy with live tracks, as of the latest step; 1 while one waits for a lane."""
        return self._lanes_share

    def model_strain(self) -> float:
        """How near the model was to falling behind lately, 0 to 1."""
        return self._strain.recent(self._clock())

    def listener_late_s(self) -> float:
        """How late live audio was heard lately."""
        return self._listener.lateness.recent(self._clock())

    @property
    def tracks(self) -> int:
        return len(self._sinks)

    def census(self) -> EngineCensus:
        """What is held now; another thread's count may lag a turn behind."""
        return EngineCensus(
            tracks=len(self._sinks),
            listened_tracks=self._listener.tracks,
            detector_streams=self._listener.detector_streams,
            scheduled_tracks=self._runner.tracks,
            lanes_in_use=self._runner.lanes_in_use,
        )

    @property
    def has_its_fill(self) -> bool:
        """So much audio waits to be heard that only who sends in time may send more."""
        return self._listener.pending_bytes(self._told_bytes) > self._most_pending_bytes

    def open(self, room: str, codec: Codec, sink: TrackSink, *, drops: bool, source: int | None = None) -> int:
        """A new track; the number it is known by from here on is never given again.

        `drops`: when it has more audio than can be heard its oldest goes, else its sender has to wait. `source`: the
        same for tracks of one connection, None for a track that has one for itself.
        """
        self._next_track += 1
        self._sinks[self._next_track] = sink
        self._idle.clear()
        self._metrics.tracks.set(len(self._sinks))
        opened = TrackOpened(self._next_track, room, codec, drops, -self._next_track if source is None else source)
        self._listener.tell(opened)
        return self._next_track

    def tell(self, notice: Notice) -> None:
        """What happens to a track, but for its packets."""
        self._listener.tell(notice)

    def hear(self, arrivals: Sequence[PacketArrived]) -> Sequence[PacketArrived]:
        """Tell of the packets of one message together. Returns those for which the listener has no room."""
        self._told_bytes += _bytes_of(arrivals)
        refused = [notice for notice in self._listener.hear(arrivals) if isinstance(notice, PacketArrived)]
        if refused:
            self._told_bytes -= _bytes_of(refused)
        return refused

    def close(self, track: int) -> None:
        """Forget a track; what is still said of it is dropped."""
        if self._sinks.pop(track, None) is not None:
            self._metrics.tracks.set(len(self._sinks))
            self._listener.tell(TrackClosed(track))
            if not self._sinks:
                self._idle.set()

    def _on_turn(self, turn: Turn) -> None:
        """On the listener's thread. The loop is told of the audio first, then the model gets it and may speak of it."""
        heard = turn.heard
        if heard:
            self._post(lambda: self._heard(heard))
        refused = self._runner.submit(turn.orders) if turn.orders else []
        if refused:
            gaps: list[tuple[int, HearingEvent]] = [
                (order.track, Gap(order.frame.start, order.frame.end, "overload")) for order in refused
            ]
            self._post(lambda: self._heard(gaps))

    def _on_results(self, results: StepResults) -> None:
        """On the model's thread."""
        self._post(lambda: self._said(results))

    def _heard(self, heard: list[tuple[int, HearingEvent]]) -> None:
        for track, event in heard:
            sink = self._sinks.get(track)
            if sink is not None:
                sink.heard(event)

    def _said(self, results: StepResults) -> None:
        events, report = results
        by_track: dict[int, list[TrackEvent]] = {}
        for track, event in events:
            by_track.setdefault(track, []).append(event)
        for track, said in by_track.items():
            sink = self._sinks.get(track)
            if sink is not None:
                sink.said(said)
        if report is not None:
            self._count(report)

    def _count(self, report: StepReport) -> None:
        metrics = self._metrics
        if report.step_s is not None:
            metrics.steps.inc()
            metrics.lane_steps.inc(report.lanes_stepped)
            metrics.step_seconds.observe(report.step_s)
            metrics.asr_model_step_duration.observe(report.step_s)
        self._strain.saw(report.strain, self._clock())
        metrics.lanes_in_use.set(report.lanes_in_use)
        metrics.lanes_busy.set(report.lanes_busy)
        metrics.tracks_waiting.set(report.tracks_waiting)
        self._lanes_share = report.live_share
        metrics.stalls.inc(report.stalled)
        for wait_s in report.lane_waits_s:
            metrics.lane_wait_seconds.observe(wait_s)


def _bytes_of(arrivals: Sequence[PacketArrived]) -> int:
    return sum([len(arrival.packet.data) for arrival in arrivals])


def _poster(loop: asyncio.AbstractEventLoop) -> Post:
    def post(call: Callable[[], None]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(call)

    return post
