"""Sleeping through silence: which of a track's packets are decoded, and what is kept for when it wakes.

    AWAKE    surely silent for half a second, and nobody speaks    -> ASLEEP
             silence that nobody sent, longer than is played       -> ASLEEP
    ASLEEP   a packet that may be speech                           -> WAKING
    WAKING   everything kept was taken                             -> AWAKE

A track begins asleep, as most that join are silent, and hundreds may join at once. Asleep, the packets of the last
second are kept undecoded, so that the pre-roll of the next speech is there.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from captions.stream.timeline import PlacedPacket
from captions.types import samples_in

__all__ = ["KEPT_S", "Sleep", "SleepState"]

KEPT_S = 1.0
"""Of what a sleeping track was sent last: the pre-roll of its next speech, and a margin."""

_KEPT_SAMPLES = samples_in(KEPT_S)
_SLEEPS_AFTER_SAMPLES = samples_in(0.5)
_PLAYED_SILENCE_SAMPLES = samples_in(1.0)


class SleepState(Enum):
    AWAKE = auto()
    ASLEEP = auto()
    WAKING = auto()


class Sleep:
    """One track's. While AWAKE ask of every packet whether the track `falls_asleep` over it, while ASLEEP `keep` every
    packet, and in the state WAKING `take` what was kept before anything else.
    """

    def __init__(self, *, allowed: bool) -> None:
        self.state = SleepState.ASLEEP if allowed else SleepState.AWAKE
        self._allowed = allowed
        self._silent_for = 0
        self._kept: deque[PlacedPacket] = deque()
        self._taken_to = 0

    @property
    def kept(self) -> int:
        """The packets that are kept."""
        return len(self._kept)

    def falls_asleep(self, placed: PlacedPacket, silent: bool, speaking: bool) -> bool:
        """Whether a packet is the one over which the track falls asleep; it is kept, then.

        `silent`: surely nobody speaks in it; `speaking`: a spurt is under way.
        """
        self._silent_for = self._silent_for + placed.samples if silent else 0
        if speaking or self._silent_for <= _SLEEPS_AFTER_SAMPLES or not self._allowed:
            return False
        self._fall_asleep()
        self._kept.append(placed)
        return True

    def keep(self, placed: PlacedPacket, silent: bool) -> None:
        """The next packet of a track that is asleep, which wakes up if it may be speech."""
        kept = self._kept
        kept.append(placed)
        oldest = placed.start + placed.samples - _KEPT_SAMPLES
        while kept[0].start < oldest and len(kept) > 1:
            kept.popleft()
        if not silent:
            self.state = SleepState.WAKING
            self._silent_for = 0
            self._taken_to = kept[0].start

    def played_of(self, unsent_samples: int, *, speaking: bool) -> int:
        """How much of a silence that nobody sent is to be played: as much as the speech gate needs to close."""
        if self.state is SleepState.ASLEEP:
            return 0
        self._silent_for += unsent_samples
        played = min(unsent_samples, _PLAYED_SILENCE_SAMPLES) if speaking else 0
        if played < unsent_samples and self._allowed:
            self._fall_asleep()
        return played

    def take(self) -> PlacedPacket | tuple[int, int]:
        """The next of what was kept: a packet, or start and samples of silence that nobody sent before it."""
        placed = self._kept[0]
        if placed.start > self._taken_to:
            unsent = (self._taken_to, placed.start - self._taken_to)
            self._taken_to = placed.start
            return unsent
        return self.drop()

    def drop(self) -> PlacedPacket:
        """The next packet of what was kept, without the silence before it."""
        placed = self._kept.popleft()
        self._taken_to = placed.start + placed.samples
        if not self._kept:
            self.state = SleepState.AWAKE
        return placed

    def _fall_asleep(self) -> None:
        self.state = SleepState.ASLEEP
        self._kept.clear()
