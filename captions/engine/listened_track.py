"""The listener's part of a track: its ear, its speech gate, and what it was told last."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from captions.engine.orders import Arrived, BadAudio, Impaired, Notice, PushFrame, Taken, TrackOpened, Turn
from captions.stream.ear import Ear, Impairment, Taking
from captions.vad.gate import Gate

__all__ = ["ListenedTrack"]


@dataclass(slots=True, eq=False)
class ListenedTrack:
    """`stream` is the detector's; `held`: its sender was told to wait.

    `due_at`: when its next frame is due. `is_file`: it is ahead of its time. `later`: what was told of it behind audio
    that is still to be taken in.
    """

    opened: TrackOpened
    ear: Ear
    gate: Gate
    stream: int
    later: deque[Notice] = field(default_factory=deque)
    due_at: float = 0.0
    is_file: bool = False
    held: bool = False
    _pushed_to: int = 0
    _told_impairment: Impairment = field(default_factory=lambda: Impairment(0, 0, 0))
    _told_taken: int = 0
    _told_weight: int = 0

    @property
    def id(self) -> int:
        return self.opened.track

    def tell(self, taking: Taking, turn: Turn) -> None:
        """Tell the runner of a frame, and the track's door of everything else."""
        if taking.damage is not None:
            turn.heard.append((self.id, BadAudio(taking.damage)))
        if taking.arrivals:
            turn.heard.append((self.id, Arrived(taking.arrivals)))
        for gap in taking.gaps:
            turn.heard.append((self.id, gap))
        if taking.frame is not None:
            turn.orders.append(PushFrame(self.id, taking.frame))
            self._pushed_to = max(self._pushed_to, taking.frame.end)
            self._tell_impaired(turn)
        self.tell_taken(turn)

    def tell_taken(self, turn: Turn) -> None:
        """How much was taken in of a track that drops nothing."""
        if self.opened.drops:
            return
        taken, weight = self.ear.taken_samples, self.ear.taken_weight
        if weight > self._told_weight:
            more = Taken(taken - self._told_taken, weight - self._told_weight, self._pushed_to)
            turn.heard.append((self.id, more))
            self._told_taken, self._told_weight = taken, weight

    def _tell_impaired(self, turn: Turn) -> None:
        impairment = self.ear.impairment
        if impairment != self._told_impairment:
            more = (now - told for now, told in zip(impairment, self._told_impairment, strict=True))
            turn.heard.append((self.id, Impaired(*more)))
            self._told_impairment = impairment
