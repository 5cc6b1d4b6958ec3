"""What a lane was fed and when. It maps lane time back to the track's media clock, and explains latencies.

A lane is fed frames of its track, and silence that is no track's, by which it is flushed. The media clock stands
still meanwhile.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from captions.types import FRAME_SAMPLES, Frame, WordTiming

__all__ = ["LaneTrace"]


@dataclass(frozen=True, slots=True)
class _Fed:
    """One frame that was fed. `of_track` tells the track's audio from silence that was slipped in.

    `media`: the media position of its first sample. For slipped-in silence it is where the media clock stands, or None
    before the track's first frame.
    `full_at`: when the frame was full. Slipped-in silence takes no time to fill, so it counts as late as the audio
    that was fed before it.
    """

    media: int | None
    of_track: bool
    full_at: float


class LaneTrace:
    """The last `depth_frames` frames of one lane since its reset; call `fed` for each, in order."""

    def __init__(self, depth_frames: int = 1_024) -> None:
        self._fed: deque[_Fed] = deque(maxlen=depth_frames)
        self._clock: int | None = None
        self._count = 0
        self._lag = 0.0

    def reset(self) -> None:
        """The lane was reset: its lane time starts at 0 again."""
        self._fed.clear()
        self._clock = None
        self._count = 0
        self._lag = 0.0

    def fed(self, frame: Frame | None, step_at: float) -> None:
        """The lane's next frame, None for silence that is slipped in; `step_at` is when its step began."""
        self._count += 1
        if frame is None:
            goes_on = bool(self._fed) and not self._fed[-1].of_track
            full_at = self._fed[-1].full_at if goes_on else step_at - self._lag
            self._fed.append(_Fed(self._clock, False, full_at))
        else:
            self._fed.append(_Fed(frame.start, True, frame.arrived_at))
            self._clock = frame.end
            self._lag = max(0.0, step_at - frame.arrived_at)

    @property
    def lane_time(self) -> int:
        """Lane time now: the samples fed since the reset."""
        return self._count * FRAME_SAMPLES

    def media(self, lane_samples: int) -> int:
        """Lane time to media position."""
        fed = self._at(lane_samples // FRAME_SAMPLES)
        if fed.media is None:
            return next((f.media for f in self._fed if f.media is not None), 0)
        return fed.media + lane_samples % FRAME_SAMPLES if fed.of_track else fed.media

    def media_end(self, lane_samples: int) -> int:
        """As `media`, for the end of something: a boundary belongs to the frame before it."""
        return self.media(lane_samples - 1) + 1 if lane_samples > 0 else self.media(0)

    def timing(self, lane_end: int, lane_at: float, step_at: float, emitted_at: float) -> WordTiming:
        """The moments behind a word whose audio ends at lane time `lane_end`, given by the step that was fed last.

        Each moment is held to be no earlier than the one before, so that the parts they bound add up.
        """
        frame_at = self._at(max(0, lane_end - 1) // FRAME_SAMPLES).full_at
        ahead_at = max(frame_at, self._fed[-1].full_at)
        granted_at = max(ahead_at, lane_at)
        began_at = max(granted_at, step_at)
        return WordTiming(frame_at, ahead_at, granted_at, began_at, max(began_at, emitted_at))

    def _at(self, frame: int) -> _Fed:
        """The trace of a lane frame, or of the nearest one kept."""
        first_kept = self._count - len(self._fed)
        return self._fed[min(max(frame - first_kept, 0), len(self._fed) - 1)]
