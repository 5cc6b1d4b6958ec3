"""How far a live track is ahead of its time: what was sent of it, less the time that went by."""

from __future__ import annotations

import math

from captions.types import SAMPLE_RATE

__all__ = ["Lead"]

_SPEED = 1.05
"""How much faster than ours a sender's clock may go for ever: a sound card's is off by a thousandth at most."""

_SECONDS_A_SAMPLE = 1 / (SAMPLE_RATE * _SPEED)


class Lead:
    """One track's. Ask how far `ahead_s` it is of its time before each packet, and say what was `sent`.

    A network that stood still gives all at once what it has kept, so a track may be ahead for as long as that explains.
    This is the generic cell rate algorithm (ITU-T I.371): the moment from which on the track will be in time again is
    all that has to be kept.
    """

    __slots__ = ("_in_time_at",)

    def __init__(self) -> None:
        self._in_time_at = 0.0

    def ahead_s(self, now: float) -> float:
        """How much more audio was sent than time went by, in seconds; below 0 for who is late."""
        return self._in_time_at - now

    def sent_in_time(self, weight: int, now: float, most_ahead_s: float) -> bool:
        """Say what was `sent`, unless the track was further ahead than that already: then nothing was."""
        in_time_at = self._in_time_at
        if in_time_at < now:
            in_time_at = now
        elif in_time_at - now > most_ahead_s:
            return False
        self._in_time_at = in_time_at + weight * _SECONDS_A_SAMPLE
        return True

    def sent(self, weight: int, now: float) -> None:
        """`weight`: what the packet counts for, in samples."""
        self.sent_in_time(weight, now, math.inf)
