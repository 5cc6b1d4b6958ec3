"""Lanes and tracks as the scheduler knows them, and the plan of a step: plain state, no rules of who gets what."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from captions.types import FRAME_SAMPLES, Frame, Gap, Progress

__all__ = ["Feed", "Flush", "Lane", "Plan", "Track"]


@dataclass(frozen=True, slots=True)
class Flush:
    """A hard boundary behind the audio pushed so far. `id` is the client's, or None at the end of speech.

    `silent_from`: the media position behind which there is no speech, where that is known.
    """

    id: str | None = None
    silent_from: int | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """One lane's part of a step. `frame` None is 80 ms of silence on no clock: prefix or flush.

    `track` is None for a free lane that is made ready. `closes` is the flush that ends with this frame.
    `lane_at`: when the track got this lane.
    """

    lane: int
    track: int | None
    frame: Frame | None
    closes: Flush | None
    lagging: bool
    lane_at: float


@dataclass(slots=True)
class Plan:
    """One step: reset `resets`, then run `feeds`. `flushed` need no step: nothing was heard since the last flush."""

    resets: list[int] = field(default_factory=list)
    feeds: list[Feed] = field(default_factory=list)
    flushed: list[tuple[int, Flush]] = field(default_factory=list)
    gaps: list[tuple[int, Gap]] = field(default_factory=list)
    progress: list[tuple[int, Progress]] = field(default_factory=list)
    lane_waits_s: list[float] = field(default_factory=list)
    stalled: int = 0

    def __bool__(self) -> bool:
        return bool(self.resets or self.feeds or self.flushed or self.gaps or self.progress)


@dataclass(slots=True, eq=False)
class Lane:
    """A row of the batch. `fresh`: reset since its last track; `prefix_left`: silence it is still to be fed first.

    `heard`: speech went in since the last flush. `silent_since`: everything heard is flushed and the track is silent;
    only then may the lane be taken. `fed_last`: where the frames fed last begin. `unanswered`: the speech heard since
    the model last said anything.
    """

    index: int
    track: Track | None = None
    lane_at: float = 0.0
    fresh: bool = False
    prefix_left: int = 0
    flushing: Flush | None = None
    flush_left: int = 0
    heard: bool = False
    silent_since: float | None = None
    fed_last: deque[int] = field(default_factory=deque)
    unanswered: deque[Frame] = field(default_factory=deque)
    replayed: bool = False

    @property
    def ready(self) -> bool:
        return self.fresh and not self.prefix_left

    @property
    def busy(self) -> bool:
        """It cannot be taken: its track speaks or is owed words."""
        return self.track is not None and self.silent_since is None

    def silence_behind(self, flush: Flush) -> int:
        """The frames heard last that surely hold no speech: a word's tail may outlast the detector by a frame."""
        if flush.silent_from is None:
            return 0
        return sum(start >= flush.silent_from + FRAME_SAMPLES for start in self.fed_last)

    def release(self) -> None:
        """Part lane and track; audio that the lane was not fed yet, silence all of it, becomes pre-roll."""
        if self.track is not None:
            self.track.lane = None
            self.track.keep_as_preroll()
        self.track = None
        self.fresh = False
        self.flushing, self.flush_left = None, 0
        self.silent_since = None
        self.forget_heard()

    def forget_heard(self) -> None:
        """What was heard is flushed, or will never be."""
        self.heard = self.replayed = False
        self.unanswered.clear()


@dataclass(slots=True, eq=False)
class Track:
    """One participant. `queue`: what is to be run, in order, `frames` and `flushes` of each kind in it.

    `preroll`: the silence just before, which is run only once speech follows. `waiting_since`: speech needs a lane.
    """

    id: int
    room: str
    drops: bool
    preroll: deque[Frame]
    queue: deque[Frame | Flush] = field(default_factory=deque)
    frames: int = 0
    flushes: int = 0
    speaking: bool = False
    waiting_since: float | None = None
    lane: Lane | None = None
    dropped: list[Gap] = field(default_factory=list)
    pushed_to: int = 0
    told_to: int = 0

    @property
    def owes(self) -> bool:
        """Speech that was not run through a lane yet, or is still coming."""
        return self.speaking or self.flushes > 0

    @property
    def taken_to(self) -> int:
        """Where the audio begins that is still to be run, or else ends."""
        first = next((item for item in self.queue if isinstance(item, Frame)), None)
        return self.pushed_to if first is None else first.start

    def queue_preroll(self) -> None:
        self.queue.extend(self.preroll)
        self.frames += len(self.preroll)
        self.preroll.clear()

    def keep_as_preroll(self) -> None:
        """Empty the queue of silence."""
        self.preroll.extend(item for item in self.queue if isinstance(item, Frame))
        self.forget_queue()

    def forget_queue(self) -> None:
        self.queue.clear()
        self.frames = self.flushes = 0

    def requeue(self, frames: deque[Frame]) -> None:
        """Put frames that were run before back in front."""
        self.queue.extendleft(reversed(frames))
        self.frames += len(frames)

    @property
    def oldest(self) -> Frame:
        """The frame that waits longest, of which there is at least one."""
        return next(item for item in self.queue if isinstance(item, Frame))

    def drop_oldest(self) -> None:
        """Give up the oldest frame. Boundaries stay: they are owed an answer."""
        at, oldest = next((at, item) for at, item in enumerate(self.queue) if isinstance(item, Frame))
        del self.queue[at]
        self.frames -= 1
        if self.dropped and oldest.start <= self.dropped[-1].end:
            self.dropped[-1] = Gap(self.dropped[-1].start, oldest.end, "overload")
        else:
            self.dropped.append(Gap(oldest.start, oldest.end, "overload"))
