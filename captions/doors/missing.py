"""What of one track was not captioned, as the readers of its room are told."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from captions.stream.captions import Participant, Uncaptioned
from captions.types import FRAME_SAMPLES, Gap, seconds

__all__ = ["Missing"]

_LEAST_S = 0.5
"""What is shorter is a syllable, and not worth a line of its readers' attention."""


class Missing:
    """`add` every gap of the track; what its readers are told comes back.

    Speech that waits for a lane is dropped a second at a time. Gaps that follow one another are therefore told as one
    that grows, under one id.
    """

    def __init__(self, room: str, track: str, participant: Participant, new_id: Callable[[], str]) -> None:
        self._room = room
        self._track = track
        self._participant = participant
        self._new_id = new_id
        self._told: Uncaptioned | None = None
        self.to = 0
        """The media position behind which nothing is missing, in samples."""

    def add(self, gap: Gap, said_at: float) -> Uncaptioned | None:
        """What to tell, None for too little to tell. `said_at`: when the gap's start was, in seconds since 1970."""
        if gap.end == gap.start:
            return None
        told = self._told
        if told is None or told.reason != gap.reason or gap.start > self.to + FRAME_SAMPLES:
            start = round(seconds(gap.start), 3)
            told = Uncaptioned(
                self._room, self._track, self._participant, self._new_id(), start, start, gap.reason, said_at
            )
        self.to = max(self.to, gap.end)
        self._told = told = structs.replace(told, end=max(told.end, round(seconds(gap.end), 3)))
        return told if told.end - told.start >= _LEAST_S else None
