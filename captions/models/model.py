"""The model interface: B lanes, stepped together, one 80 ms frame a lane and step.

A model knows lanes, not tracks. All times it gives are *lane time*: samples at 24 kHz since the lane's last
reset, counting every frame fed to the lane, silence included. The runner maps lane time to the track's media
clock. One thread owns a model: nothing here is thread-safe, and nothing here may be called from two threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from captions.types import Pcm

__all__ = [
    "Batch",
    "LaneEvent",
    "LaneOutput",
    "LanePause",
    "LaneTentative",
    "LaneWord",
    "LaneWordEnd",
    "Model",
    "ModelError",
    "ModelInfo",
    "NoRoom",
]


class ModelError(Exception):
    """A model that cannot be loaded or run; the message says what to do about it."""


class NoRoom(ModelError):
    """So many lanes do not fit into memory; fewer may."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the rest of the service has to know of a model.

    `delay_frames`: how far text runs behind audio. `flush_frames`: silence that brings the last words out.
    `feeds_silence`: whether a lane in use is stepped through its track's silence too (it costs a GPU nothing) or frozen
    meanwhile. `can_stall`: it is known to fall silent now and then, and hears again once its lane is reset.
    `hangover_s`: silence that ends a spurt, unless configured otherwise; a model that gives words all along needs no
    early end, and hears better without one. `pause_heads`: how many probabilities each step's `LanePause` has; 0 for a
    model that gives none. `device`: what it runs on, in words, and `measured`: seconds of a full step by number of
    lanes, as timed on this machine. Both are complete once the model is warm.
    """

    name: str
    languages: tuple[str, ...]
    lanes: int
    delay_frames: int
    flush_frames: int
    feeds_silence: bool
    can_stall: bool = False
    hangover_s: float = 0.4
    pause_heads: int = 0
    device: str = "the CPU"
    measured: tuple[tuple[int, float], ...] = ()


@dataclass(slots=True)
class Batch:
    """One step's input. The arrays belong to the runner and are filled anew for each step.

    `pcm` [B, 1920] float32: a row is read only where `active` [B] is true; the other lanes' state must come out
    as if the step had not happened. `closing` [B]: this frame is the last of a flush, so everything the lane
    has heard must be out, committed, with this step. `lagging` [B]: more audio already waits for this lane, so
    work that the next step would redo may be skipped.
    """

    pcm: Pcm
    active: NDArray[np.bool_]
    closing: NDArray[np.bool_]
    lagging: NDArray[np.bool_]

    @classmethod
    def of(cls, lanes: int, frame_samples: int) -> Batch:
        """An empty batch of `lanes` rows."""
        return cls(
            pcm=np.zeros((lanes, frame_samples), np.float32),
            active=np.zeros(lanes, np.bool_),
            closing=np.zeros(lanes, np.bool_),
            lagging=np.zeros(lanes, np.bool_),
        )


@dataclass(frozen=True, slots=True)
class LaneWord:
    """A committed word. `end` is None while the model has not heard it; then a `LaneWordEnd` follows."""

    text: str
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class LaneWordEnd:
    """Where the latest word of the lane, given without an end, ended."""

    end: int


@dataclass(frozen=True, slots=True)
class LaneTentative:
    """All words behind the committed ones that may still change; replaces what was tentative before."""

    words: tuple[LaneWord, ...]


@dataclass(frozen=True, slots=True)
class LanePause:
    """The model's own opinion of this step: the probability that a pause of each length has begun.

    `probabilities` are those of the pause heads, 0.5, 1, 2 and 3 s; `begun` is the steadied decision to close a
    segment, true on the one step at which it is taken.
    """

    probabilities: tuple[float, ...]
    begun: bool


LaneEvent: TypeAlias = LaneWord | LaneWordEnd | LaneTentative | LanePause


@dataclass(frozen=True, slots=True)
class LaneOutput:
    """What one lane gave in one step, in order. Lanes with nothing to say are left out."""

    lane: int
    events: tuple[LaneEvent, ...]


class Model(Protocol):
    """A streaming speech-to-text model with a fixed number of lanes.

    Call `warm_up` once; then, in any order, `reset` for lanes that get a new track and `step`. A lane must be
    reset before its first step. `close` frees everything; nothing may be called after it.
    """

    @property
    def info(self) -> ModelInfo: ...

    def warm_up(self) -> None:
        """Pay every first-use cost (graphs, caches, compilation) before the service says it is ready."""

    def reset(self, lanes: Sequence[int]) -> None:
        """Forget everything heard on `lanes`; their lane time starts at 0 again. Other lanes are untouched."""

    def step(self, batch: Batch) -> list[LaneOutput]:
        """Run every active lane one frame on and return what came of it.

        Raises:
            ModelError: the model can no longer be used at all (device lost, out of memory).
        """

    def close(self) -> None: ...
