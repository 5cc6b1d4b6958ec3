"""Listener and model behind one door for the event loop: open a track, tell it what comes, get back what is said.

    event loop --notices--> listener thread --orders--> model thread
        ^                        |                          |
        +------- heard ----------+---------- said ----------+

Both threads hand their results to the loop with `call_soon_threadsafe`, a whole turn or step at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from captions.config import Config
from captions.engine.listener import Close, Heard, Listener, Notice, Open, Pace, Turn
from captions.engine.runner import Results, Runner, StepReport
from captions.metrics import Metrics
from captions.models.model import Model
from captions.models.scheduler import LanePolicy, Scheduler
from captions.stream.decode import Decoder
from captions.types import Gap, TrackEvent, frames_in
from captions.vad.gate import GatePolicy
from captions.vad.silero import SileroVad

__all__ = ["Engine", "TrackSink", "gate_policy", "lane_policy"]

T = TypeVar("T")

SPARE_SHARE = 8
"""One lane in eight is kept primed where priming takes steps: by bench/simulate.py, more buys nothing."""


class TrackSink(Protocol):
    """Where a track's results go, on the event loop."""

    def heard(self, event: Heard) -> None: ...

    def said(self, events: list[TrackEvent]) -> None: ...


class Engine:
    """Call `start` on the event loop, then `open`, `tell` and `close` for each track; `stop` ends both threads."""

    def __init__(self, model: Model, config: Config, metrics: Metrics, clock: Callable[[], float]) -> None:
        self.model = model
        self._metrics = metrics
        self._sinks: dict[int, TrackSink] = {}
        self._next_track = 0
        self._lanes_share = 0.0
        self._idle = asyncio.Event()
        self._idle.set()
        self._loop: asyncio.AbstractEventLoop | None = None
        gate = gate_policy(model, config)
        pending = max(1, int(config.limits.pending_audio_s * 50))
        self._runner = Runner(model, Scheduler(lane_policy(model, config)), self._on_results, clock)
        self._listener = Listener(
            SileroVad(), gate, self._on_turn, clock, max_pending_packets=pending, skips_silence=config.vad.skip_silence
        )
        metrics.lanes.set(model.info.lanes)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._runner.start()
        self._listener.start()

    async def warm_up(self) -> None:
        """Wait until the model is ready for its first step.

        Raises:
            ModelError: it will never be.
        """
        await asyncio.to_thread(self._runner.wait_warm)

    async def idle(self) -> None:
        """Wait until no track is open."""
        await self._idle.wait()

    async def stop(self) -> None:
        await asyncio.to_thread(self._listener.stop)
        await asyncio.to_thread(self._runner.stop)
        self.model.close()

    @property
    def failed(self) -> bool:
        """The model is gone for good; only a restart helps."""
        return self._runner.failed

    @property
    def lanes_share(self) -> float:
        """The share of lanes that speech holds, by the latest step; 1 while a track waits for one."""
        return self._lanes_share

    @property
    def tracks(self) -> int:
        return len(self._sinks)

    @property
    def tracks_opened(self) -> int:
        """So far, those that are closed too."""
        return self._next_track

    def open(self, room: str, decoder: Decoder, sink: TrackSink, pace: Pace) -> int:
        """A new track; the number it is known by from here on is never given again."""
        self._next_track += 1
        self._sinks[self._next_track] = sink
        self._idle.clear()
        self._metrics.tracks.set(len(self._sinks))
        self._listener.tell([Open(self._next_track, room, decoder, pace)])
        return self._next_track

    def tell(self, notice: Notice) -> None:
        self._listener.tell([notice])

    def close(self, track: int) -> None:
        """Forget a track; what is still said of it is dropped."""
        if self._sinks.pop(track, None) is not None:
            self._metrics.tracks.set(len(self._sinks))
            self._listener.tell([Close(track)])
            if not self._sinks:
                self._idle.set()

    def _on_turn(self, turn: Turn) -> None:
        """On the listener's thread. The loop hears of the audio before the model can speak of it."""
        if turn.heard:
            self._call_on_loop(self._heard, turn.heard)
        refused = self._runner.submit(turn.orders) if turn.orders else []
        if refused:
            gaps: list[tuple[int, Heard]] = [
                (order.track, Gap(order.frame.start, order.frame.end, "overload")) for order in refused
            ]
            self._call_on_loop(self._heard, gaps)

    def _on_results(self, results: Results) -> None:
        """On the model's thread."""
        self._call_on_loop(self._said, results)

    def _call_on_loop(self, callback: Callable[[T], None], argument: T) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, argument)

    def _heard(self, heard: list[tuple[int, Heard]]) -> None:
        for track, event in heard:
            sink = self._sinks.get(track)
            if sink is not None:
                sink.heard(event)

    def _said(self, results: Results) -> None:
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
        metrics.lanes_in_use.set(report.lanes_in_use)
        metrics.lanes_busy.set(report.lanes_busy)
        metrics.tracks_waiting.set(report.tracks_waiting)
        self._lanes_share = 1.0 if report.tracks_waiting else report.lanes_busy / self.model.info.lanes
        metrics.stalls.inc(report.stalled)
        for wait_s in report.lane_waits_s:
            metrics.lane_wait_seconds.observe(wait_s)


def gate_policy(model: Model, config: Config) -> GatePolicy:
    """The speech gate that a model and the configuration ask for."""
    vad = config.vad
    return GatePolicy(vad.onset, vad.release, vad.onset_s, vad.hangover_s or model.info.hangover_s)


def lane_policy(model: Model, config: Config) -> LanePolicy:
    """The lane policy that a model and the configuration ask for."""
    info, lanes = model.info, config.lanes
    return LanePolicy(
        lanes=info.lanes,
        prefix_frames=info.prefix_frames,
        flush_frames=info.flush_frames,
        preroll_frames=frames_in(lanes.preroll_s),
        backlog_frames=max(1, frames_in(config.limits.pending_audio_s), frames_in(lanes.preroll_s)),
        wait_frames=frames_in(lanes.wait_s),
        stall_frames=frames_in(lanes.stall_s) + info.delay_frames if info.can_stall and lanes.stall_s else 0,
        feeds_silence=info.feeds_silence,
        spare_lanes=info.lanes // SPARE_SHARE if info.feeds_silence and info.prefix_frames else 0,
    )
