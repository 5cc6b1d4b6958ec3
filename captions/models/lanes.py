"""One lane as the scheduler knows it: whose it is, what it has been fed, and what may happen to it next.

    STALE      holds what an earlier track said       reset       -> READY
    READY      has heard no speech since then         feed        -> HEARD
    HEARD      has heard speech that is not flushed   begin_flush -> FLUSHING
                                                      stall       -> STALE, to hear the speech again
    FLUSHING   is fed silence to bring words out      flush       -> READY, with the last frame of the flush
    READY      and its track says nothing more        rest        -> RESTING
    RESTING    its track is silent: may be taken      wake        -> READY

A lane has a track from `grant` to `release` or `part`, in whichever state; both leave it STALE.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from captions.models.backlog import Boundary
from captions.models.scheduled_track import ScheduledTrack
from captions.types import FRAME_SAMPLES, Frame

__all__ = ["Lane", "LaneState"]


class LaneState(Enum):
    STALE = auto()
    READY = auto()
    HEARD = auto()
    FLUSHING = auto()
    RESTING = auto()


_STALE, _READY = LaneState.STALE, LaneState.READY
_HEARD, _FLUSHING, _RESTING = LaneState.HEARD, LaneState.FLUSHING, LaneState.RESTING


class Lane:
    """A row of the batch; `remembers` is how many of the frames fed last it knows the place of.

    `lane_at`: when its track got it. `resting_since`: when its track fell silent, in the state RESTING. `boundary`:
    what is being flushed, in the state FLUSHING. `unanswered`: the speech fed since the model last said anything.
    `called_back`: its track is to part with it as soon as what it has heard is flushed.
    """

    __slots__ = (
        "_fed_last",
        "_left",
        "boundary",
        "called_back",
        "index",
        "lane_at",
        "replayed",
        "resting_since",
        "state",
        "track",
        "unanswered",
    )

    def __init__(self, index: int, remembers: int) -> None:
        self.index = index
        self.state: LaneState = _STALE
        self.track: ScheduledTrack | None = None
        self.lane_at = 0.0
        self.resting_since = 0.0
        self.boundary: Boundary | None = None
        self.unanswered: deque[Frame] = deque()
        self.replayed = False
        self.called_back = False
        self._left = 0
        self._fed_last: deque[int] = deque(maxlen=remembers)

    @property
    def is_busy(self) -> bool:
        """It cannot be taken: its track speaks or is owed words."""
        return self.track is not None and self.state is not _RESTING

    def grant(self, track: ScheduledTrack, now: float) -> None:
        self.track, track.lane = track, self
        self.lane_at = now

    def release(self) -> None:
        """Track and lane part. What waits for the track is silence; it is kept as pre-roll of its next speech."""
        if self.track is not None:
            self.track.keep_as_preroll()
        self.part()

    def part(self) -> None:
        """Track and lane part, and what waits for the track waits on."""
        if self.track is not None:
            self.track.lane = None
        self.track = None
        self.boundary = None
        self.called_back = False
        self._forget_speech()
        self.state = _STALE

    def reset(self) -> None:
        self._fed_last.clear()
        self.state = _READY

    def feed(self, frame: Frame, watched: bool) -> None:
        """A frame of the track is fed. `watched`: should the model say nothing of its speech, it is replayed once."""
        self._fed_last.append(frame.start)
        if self.state is _RESTING:
            return
        self.state = _HEARD
        if watched and not self.replayed:
            self.unanswered.append(frame)

    def stall(self) -> deque[Frame]:
        """The model said nothing of the speech that it was fed: those frames, to be replayed behind a reset."""
        frames, self.unanswered = self.unanswered, deque()
        self.replayed = True
        self.state = _STALE
        return frames

    def answered(self) -> None:
        """The model said something."""
        self.unanswered.clear()
        self.replayed = False

    def begin_flush(self, boundary: Boundary, flush_frames: int) -> None:
        """Flush with `flush_frames` of silence, less what the lane has heard of it already; at least one frame."""
        self.boundary = boundary
        self._left = max(1, flush_frames - self._silence_behind(boundary))
        self.state = _FLUSHING

    def flush(self) -> Boundary | None:
        """One frame of the flush is fed. The boundary, if that was the last one."""
        self._left -= 1
        if self._left:
            return None
        boundary, self.boundary = self.boundary, None
        self._forget_speech()
        self.state = _READY
        return boundary

    def rest(self, now: float) -> None:
        self.resting_since = now
        self.state = _RESTING

    def wake(self) -> None:
        """The track speaks again."""
        if self.state is _RESTING:
            self.state = _READY

    def _silence_behind(self, boundary: Boundary) -> int:
        """The frames fed last that surely hold no speech: a word's tail may outlast the detector by a frame."""
        if boundary.silent_from is None:
            return 0
        return sum(start >= boundary.silent_from + FRAME_SAMPLES for start in self._fed_last)

    def _forget_speech(self) -> None:
        self.unanswered.clear()
        self.replayed = False
