"""The speech gate turns a track's speech probabilities, chunk by chunk, into spurts.

    SILENT    p >= onset                   -> RISING, noting where
    RISING    p >= onset, held long enough -> SPEAKING: the spurt started where it rose
              p <  onset                   -> SILENT
    SPEAKING  p <  release                 -> FALLING, noting where
    FALLING   p >= onset                   -> SPEAKING
              not, for the hangover        -> SILENT: the spurt ended where it fell

Between `release` and `onset` the gate stays as it is, so a spurt does not flicker on one threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from captions.types import samples_in

__all__ = ["Gate", "GatePolicy", "SpurtEnded", "SpurtStarted"]


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """Probabilities at which speech rises and falls, and how long it must have done so."""

    onset: float = 0.5
    release: float = 0.35
    onset_s: float = 0.064
    hangover_s: float = 0.4


@dataclass(frozen=True, slots=True)
class SpurtStarted:
    """Speech began at this media position (samples)."""

    at: int


@dataclass(frozen=True, slots=True)
class SpurtEnded:
    """Speech ended at this media position (samples)."""

    at: int


class _State(Enum):
    SILENT = auto()
    RISING = auto()
    SPEAKING = auto()
    FALLING = auto()


class Gate:
    """One track's gate. Call `push` for every chunk in order; `close` ends a spurt that is under way."""

    def __init__(self, policy: GatePolicy) -> None:
        self._policy = policy
        self._onset_samples = samples_in(policy.onset_s)
        self._hangover_samples = samples_in(policy.hangover_s)
        self._state = _State.SILENT
        self._turned_at = 0

    @property
    def speaking(self) -> bool:
        return self._state in (_State.SPEAKING, _State.FALLING)

    def push(self, probability: float, start: int, end: int) -> SpurtStarted | SpurtEnded | None:
        """The next chunk, from media position `start` to `end`."""
        voiced = probability >= self._policy.onset
        if self._state is _State.SILENT and voiced:
            self._turn(_State.RISING, start)
        elif self._state is _State.RISING and not voiced:
            self._state = _State.SILENT
        elif self._state is _State.SPEAKING and probability < self._policy.release:
            self._turn(_State.FALLING, start)
        elif self._state is _State.FALLING and voiced:
            self._state = _State.SPEAKING

        if self._state is _State.RISING and end - self._turned_at >= self._onset_samples:
            self._state = _State.SPEAKING
            return SpurtStarted(self._turned_at)
        if self._state is _State.FALLING and end - self._turned_at >= self._hangover_samples:
            self._state = _State.SILENT
            return SpurtEnded(self._turned_at)
        return None

    def close(self, at: int) -> SpurtEnded | None:
        """The audio stops at media position `at`, or is silence from there on."""
        was_speaking = self.speaking
        ended_at = self._turned_at if self._state is _State.FALLING else at
        self._state = _State.SILENT
        return SpurtEnded(ended_at) if was_speaking else None

    def _turn(self, state: _State, at: int) -> None:
        self._state = state
        self._turned_at = at
