"""Holding back the sender of a track that drops nothing, so that what waits to be transcribed stays bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["BackPressure", "WaitingAudio"]


class WaitingAudio:
    """What waits of all tracks that drop nothing: past `most_samples` together, each has to make do with little.

    Bounded apart from who speaks, who must not lose a word because others send files.
    """

    def __init__(self, most_samples: int) -> None:
        self._most = most_samples
        self.samples = 0

    @property
    def is_full(self) -> bool:
        return self.samples > self._most


class BackPressure:
    """One track's. Say what was `sent`, `taken` and `dealt` with; while `is_full`, wait for `room` before reading on.

    Audio waits in two places: `sent` but not `taken` in by the listener, counted by weight (codec.py), and pushed to
    the model but not dealt with, known by two media positions. `most_samples`: how much of both may wait, now; it is
    counted in `waiting`, too. `hold` and `release` are called when the wait begins and ends.
    """

    def __init__(
        self,
        waiting: WaitingAudio,
        most_samples: Callable[[], int],
        hold: Callable[[], object],
        release: Callable[[], object],
    ) -> None:
        self._waiting = waiting
        self._counted = 0
        self._most_samples = most_samples
        self._hold = hold
        self._release = release
        self._untaken = 0
        self._pushed_to = 0
        self._dealt_to = 0
        self._over = False
        self._progressed = asyncio.Event()

    @property
    def pending_samples(self) -> int:
        """Audio that neither the listener nor the model has dealt with yet."""
        return self._untaken + max(0, self._pushed_to - self._dealt_to)

    @property
    def is_full(self) -> bool:
        return self.pending_samples > self._most_samples() and not self._over

    def sent(self, weight: int) -> None:
        self._untaken += weight
        self._count(self.pending_samples)

    def taken(self, weight: int, pushed_to: int) -> None:
        """The listener took in so much of what was sent and has pushed frames up to a media position."""
        self._untaken -= weight
        self._pushed_to = pushed_to
        self._count(self.pending_samples)
        self._progressed.set()

    def dealt(self, to: int) -> None:
        """The model has dealt with the audio up to a media position."""
        self._dealt_to = to
        self._count(self.pending_samples)
        self._progressed.set()

    def end(self) -> None:
        """Nobody is to wait any more: the track is gone."""
        self._over = True
        self._count(0)
        self._progressed.set()

    async def room(self) -> None:
        """Wait until there is room for more audio."""
        self._hold()
        try:
            while self.is_full:
                self._progressed.clear()
                await self._progressed.wait()
        finally:
            self._release()

    def _count(self, pending: int) -> None:
        if self._over:
            pending = 0
        self._waiting.samples += pending - self._counted
        self._counted = pending
