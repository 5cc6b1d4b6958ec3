"""The one thread that owns the model: it takes orders, steps the model and hands words back.

Orders come in through one bounded mailbox and results leave through one callable, both in whole batches. The runner
steps as soon as any lane has a frame and the step before is done, so a loaded server steps with fuller batches.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from captions.config import Config
from captions.engine.mailbox import Mailbox
from captions.engine.orders import (
    CloseTrack,
    EndSpeech,
    FlushTrack,
    OpenTrack,
    Order,
    PushFrame,
    RankTrack,
    StartSpeech,
    StepReport,
    StepResults,
)
from captions.engine.policies import lane_policy
from captions.engine.worker import Worker, describe, whereabouts
from captions.models.model import (
    Batch,
    LaneEvent,
    LanePause,
    LaneTentative,
    LaneWord,
    LaneWordEnd,
    Model,
    ModelError,
    ModelInfo,
)
from captions.models.plan import Feed, Plan
from captions.models.scheduler import Scheduler
from captions.models.trace import LaneTrace
from captions.types import (
    FRAME_S,
    FRAME_SAMPLES,
    Flushed,
    ModelFailed,
    Pause,
    Tentative,
    TrackEvent,
    Word,
    WordEnd,
)

__all__ = ["Runner", "runner_of"]

log = logging.getLogger(__name__)

_STEPS_WAITED = 2.0
"""A frame that comes during a step waits for its end, a frame of a model that falls behind for more than this."""


class Runner:
    """Call `start`, then `submit` from any thread; `deliver` is called on the runner's thread. `stop` ends it.

    `clock` is the server's monotonic clock. `warmed` is called once the model is warm, or will never be. `failure` says
    why the model is gone for good; `worker` whether a step stands still.
    """

    def __init__(
        self,
        model: Model,
        scheduler: Scheduler,
        deliver: Callable[[StepResults], None],
        clock: Callable[[], float],
        max_orders: int = 100_000,
        warmed: Callable[[], None] = lambda: None,
    ) -> None:
        self._model = model
        self._scheduler = scheduler
        self._deliver = deliver
        self._clock = clock
        self._inbox: Mailbox[Order] = Mailbox(max_orders, PushFrame)
        self._warmed = warmed
        self._warm = False
        self.failure: str | None = None
        lanes = model.info.lanes
        self._batch = Batch.of(lanes, FRAME_SAMPLES)
        self._traces = [LaneTrace() for _ in range(lanes)]
        self._delay_samples = model.info.delay_frames * FRAME_SAMPLES
        self.worker = Worker("model", self._run, clock)

    @property
    def is_warm(self) -> bool:
        """The model's warm-up is over, well or not."""
        return self._warm

    @property
    def info(self) -> ModelInfo:
        return self._model.info

    @property
    def tracks(self) -> int:
        """Those that the scheduler knows."""
        return len(self._scheduler.tracks)

    @property
    def lanes_in_use(self) -> int:
        return self._scheduler.lanes_in_use

    def start(self) -> None:
        self.worker.start()

    def submit(self, orders: list[Order]) -> list[PushFrame]:
        """Hand over orders, in order. Returns the frames for which the queue had no room."""
        return [order for order in self._inbox.put_all(orders) if isinstance(order, PushFrame)]

    def stop(self, timeout_s: float = 10.0) -> bool:
        """End after the step under way and free the model; what is still queued is dropped. False: it takes longer."""
        self._inbox.close()
        ended = self.worker.join(timeout_s)
        if ended:
            self._model.close()
        return ended

    def warm_up(self) -> None:
        """Get the model ready for its first step, here and now; `failure` says whether it never will be."""
        try:
            self._model.warm_up()
        except Exception as error:  # noqa: BLE001 -- whatever it is, no step will ever be run
            self._fail(error)
        self._warm = True
        self._warmed()

    def _run(self) -> None:
        self.warm_up()
        while not self._inbox.is_closed:
            self.worker.busy()
            went_on = self.turn()
            self.worker.waits()
            if not went_on:
                self._inbox.wait()

    def turn(self) -> bool:
        """Take all orders in, run one step if there is one to run. False: nothing to do until the next order."""
        try:
            return self._turn()
        except Exception as error:  # noqa: BLE001 -- whatever it is, it would come again, and nobody would be told
            self._fail(error)
            owed = [(track, Flushed(flush.id)) for track, flush in self._scheduler.abandon()]
            failed = ModelFailed(self.failure or "")
            self._deliver(([*((track, failed) for track in self._scheduler.tracks), *owed], None))
            return True

    def _turn(self) -> bool:
        closed = False
        for order in self._inbox.take():
            closed = closed or isinstance(order, CloseTrack)
            self._take(order)
        if self.failure is not None:
            return False
        plan = self._scheduler.plan(self._clock())
        if not plan:
            if closed:
                self._deliver(([], self._report(plan, None)))
            return False
        self._deliver(self._step(plan))
        return True

    def _fail(self, error: Exception) -> None:
        if isinstance(error, ModelError):
            self.failure = str(error)
            log.error("the model failed", extra={"reason": self.failure})
        else:
            self.failure = describe(error)
            log.error("the model failed", extra={"reason": self.failure, "in": whereabouts(error)})

    def _take(self, order: Order) -> None:
        scheduler = self._scheduler
        match order:
            case PushFrame(track, frame):
                scheduler.push(track, frame)
            case StartSpeech(track):
                scheduler.speech_started(track, self._clock())
            case EndSpeech(track, at):
                scheduler.speech_ended(track, at)
            case FlushTrack(track, flush_id) if self.failure is not None:
                self._deliver(([(track, Flushed(flush_id))], None))
            case FlushTrack(track, flush_id):
                scheduler.flush(track, flush_id)
            case OpenTrack(track, room, drops):
                scheduler.open(track, room, drops)
                if self.failure is not None:
                    self._deliver(([(track, ModelFailed(self.failure))], None))
            case RankTrack(track, live):
                scheduler.rank(track, live=live)
            case CloseTrack(track):
                scheduler.close(track)

    def _step(self, plan: Plan) -> StepResults:
        events: list[tuple[int, TrackEvent]] = [*plan.gaps, *plan.progress]
        events += [(track, Flushed(flush.id)) for track, flush in plan.flushed]
        if plan.resets:
            self._model.reset(plan.resets)
            for lane in plan.resets:
                self._traces[lane].reset()
        if not plan.feeds:
            return events, self._report(plan, None)
        step_at = self._clock()
        self._fill(plan.feeds, step_at)
        outputs = self._model.step(self._batch)
        emitted_at = self._clock()
        by_lane = {feed.lane: feed for feed in plan.feeds}
        for output in outputs:
            feed = by_lane[output.lane]
            events += [(feed.track, e) for e in self._on_clock(feed, output.events, step_at, emitted_at)]
        for feed in plan.feeds:
            if feed.closes is not None and not feed.closes.parts:
                events.append((feed.track, Flushed(feed.closes.id)))
        return events, self._report(plan, emitted_at - step_at, _strain_of(plan, step_at, emitted_at))

    def _fill(self, feeds: list[Feed], step_at: float) -> None:
        batch = self._batch
        batch.active[:] = False
        batch.closing[:] = False
        for feed in feeds:
            row = feed.lane
            batch.active[row] = True
            batch.closing[row] = feed.closes is not None
            batch.lagging[row] = feed.lagging
            batch.pcm[row] = 0.0 if feed.frame is None else feed.frame.pcm
            self._traces[row].fed(feed.frame, step_at)

    def _on_clock(
        self, feed: Feed, lane_events: tuple[LaneEvent, ...], step_at: float, emitted_at: float
    ) -> list[TrackEvent]:
        """A lane's events on its track's media clock. The scheduler's watchdog is told if there is text."""
        trace = self._traces[feed.lane]
        events: list[TrackEvent] = []
        for event in lane_events:
            match event:
                case LaneWord(text, start, end):
                    known_end = max(start, trace.lane_time - self._delay_samples) if end is None else end
                    timing = trace.timing(known_end, feed.lane_at, step_at, emitted_at)
                    events.append(Word(text, trace.media(start), trace.media_end(known_end), timing, open=end is None))
                case LaneWordEnd(end):
                    events.append(WordEnd(trace.media_end(end)))
                case LaneTentative(words):
                    events.append(
                        Tentative(
                            tuple(Word(w.text, trace.media(w.start), trace.media_end(w.end or w.start)) for w in words)
                        )
                    )
                case LanePause(probabilities, begun):
                    events.append(Pause(trace.media_end(trace.lane_time), probabilities, begun))
        if any(isinstance(e, Word | Tentative) for e in events):
            self._scheduler.answered(feed.track)
        return events

    def _report(self, plan: Plan, step_s: float | None, strain: float = 0.0) -> StepReport:
        scheduler = self._scheduler
        return StepReport(
            step_s=step_s,
            lanes_stepped=len(plan.feeds),
            lanes_in_use=scheduler.lanes_in_use,
            lanes_busy=scheduler.lanes_busy,
            tracks_waiting=scheduler.waiting,
            live_share=scheduler.live_share,
            lane_waits_s=tuple(plan.lane_waits_s),
            stalled=plan.stalled,
            strain=strain,
        )


def _strain_of(plan: Plan, step_at: float, emitted_at: float) -> float:
    """See `StepReport`. A model falls behind when its steps take longer than a frame and frames wait for steps.

    Either alone is no sign of it: a model that reads now and then takes long steps with pauses between them, and
    a frame that comes during a step waits for its end. Files may wait, and so may what was said before a lane was had,
    which is why it goes by the median of the live ones.
    """
    waited = sorted(plan.live_since)
    if not waited:
        return 0.0
    step_s = max(emitted_at - step_at, 1e-6)
    waited_s = step_at - waited[len(waited) // 2]
    return max(0.0, min(1.0, step_s / FRAME_S, waited_s / (_STEPS_WAITED * step_s)))


def runner_of(
    model: Model, config: Config, clock: Callable[[], float] = time.monotonic, max_orders: int = 100_000
) -> Callable[[Callable[[StepResults], None], Callable[[], None]], Runner]:
    """Makes the runner of a model in this process; see `RunnerMaker`."""

    def make(deliver: Callable[[StepResults], None], warmed: Callable[[], None]) -> Runner:
        return Runner(model, Scheduler(lane_policy(model.info, config)), deliver, clock, max_orders, warmed)

    return make
