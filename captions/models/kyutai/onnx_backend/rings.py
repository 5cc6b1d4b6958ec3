"""The keys and values that a model keeps of each lane, bound to its graph where they lie.

A lane has as many places as its context. The old ones fill all but the last few, from the front, and are then a ring:
their order does not matter to attention, which has turned each key by its position. The graph writes a step's new
places behind the old. Where the ring is full these are the last few, and after the run they take those of the oldest.

Memory is taken page by page as a lane hears: a minute is 196 MB a lane of the 1B, and few spurts last so long. What a
long one took is given back with the lane's reset. So it is mapped here: numpy would ask for pages of 2 MB, and the
first place of each head would take nearly all of them.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captions.models.kyutai.onnx_backend.program import Program

__all__ = ["KINDS", "Rings", "Shape", "kept", "renewed"]

KINDS = ("keys", "values")

RETAINED_PLACES = 256
"""A lane that has heard no more keeps its memory: taking pages anew costs some milliseconds."""


def kept(kind: str, layer: int, lane: int) -> str:
    """The name in a graph of what a lane keeps."""
    return f"{kind} {layer} {lane}"


def renewed(kind: str, layer: int, lane: int) -> str:
    """The name of the same when it goes out with the new places, into the same memory."""
    return f"renewed {kind} {layer} {lane}"


@dataclass(frozen=True, slots=True)
class Shape:
    """`lanes` rings for each of `layers`, of `context` places; a step brings `places` new ones.

    `dim`: values a head. `max_period`: of the rotary embedding, or None for none.
    """

    lanes: int
    layers: int
    heads: int
    dim: int
    context: int
    places: int
    max_period: float | None

    @property
    def old(self) -> int:
        """The old places at most, so that the last of a step's new ones sees a whole context."""
        return self.context - self.places


class Rings:
    """The rings of every lane. Call `reset` for a lane, then for each step `bind`, run the program, and `advance`.

    `heard` [B]: the places each lane has taken in. `kept` [2, B, layers, H, context, D]: keys, values.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        lanes, places = shape.lanes, shape.places
        size = (2, lanes, shape.layers, shape.heads, shape.context, shape.dim)
        length = math.prod(size) * np.dtype(np.float32).itemsize
        # Private, because what is shared outlives its pages here.
        self._memory = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with suppress(AttributeError, OSError):  # Not every system has pages of 2 MB, or a word against them.
            self._memory.madvise(mmap.MADV_NOHUGEPAGE)
        self.kept = np.frombuffer(self._memory, np.float32).reshape(size)
        self.heard = np.zeros(lanes, np.int64)
        self._start, self._start_heard = self.kept[:, 0, :, :, :0], 0
        self._nobodys = np.zeros((1, shape.heads, places, shape.dim), np.float32)
        self._bound: dict[int, bool] = {}
        """Whether each lane's own places are bound, or nobody's."""
        self._count = np.zeros(lanes, np.int32)
        self._last = np.zeros((lanes, 1), np.int32)
        rows = lanes + lanes % 2
        self._row_of_lane, self._lane_of_row = np.zeros(lanes, np.int64), np.zeros(rows, np.int64)
        self._positions = np.arange(rows * places).reshape(rows, places)
        self._cos = np.zeros((rows * places, shape.dim // 2), np.float32)
        self._sin = np.zeros_like(self._cos)
        if shape.max_period is not None:
            halves = np.arange(shape.dim // 2, dtype=np.float32)
            self._frequencies = np.exp(halves * np.float32(-np.log(shape.max_period) * 2 / shape.dim))

    def reset(self, lanes: Sequence[int]) -> None:
        """Forget what `lanes` have heard, but for what `start_from` has noted. Nothing past that is ever read."""
        places = self._start.shape[-2]
        for lane in lanes:
            if self.heard[lane] > RETAINED_PLACES:
                self._give_back(lane)
            self.kept[:, lane, :, :, :places] = self._start
            self.heard[lane] = self._start_heard

    def start_from(self, lane: int) -> None:
        """Let every later reset leave a lane with what `lane` has heard."""
        self._start_heard = int(self.heard[lane])
        self._start = self.kept[:, lane, :, :, : min(self._start_heard, self.shape.old)].copy()

    def fill(self, lane: int, heard: int) -> None:
        """Let `lane` have heard `heard` places of something; for measurements."""
        self.kept[:, lane] = 0.5
        self.heard[lane] = heard

    def bind(self, program: Program, lanes: NDArray[np.intp], rows: int) -> None:
        """Give `program` what `lanes`, in rising order, keep, and have it write their new keys and values there.

        `rows`: of the program, no fewer than there are lanes.
        """
        shape, count = self.shape, len(lanes)
        self._row_of_lane[:] = 0
        self._row_of_lane[lanes], self._lane_of_row[:count] = range(count), lanes
        self._count[:] = shape.places
        self._count[lanes] += np.minimum(self.heard[lanes], shape.old).astype(np.int32)
        np.subtract(self._count[:, None], 1, self._last)
        if shape.max_period is not None:
            positions = self.heard[lanes, None] + np.arange(shape.places)
            angles = positions.reshape(-1, 1).astype(np.float32) * self._frequencies
            np.cos(angles, self._cos[: len(angles)])
            np.sin(angles, self._sin[: len(angles)])
            program.bind("cos", self._cos)
            program.bind("sin", self._sin)
            program.bind("positions", self._positions[:rows])
        program.bind("row of lane", self._row_of_lane)
        program.bind("lane of row", self._lane_of_row[:rows])
        active = set(lanes.tolist())
        for lane in range(shape.lanes):
            own = lane in active
            if self._bound.get(lane) != own:
                self._bind_lane(program, lane, own)
                self._bound[lane] = own

    def advance(self, lanes: NDArray[np.intp]) -> None:
        """Take the new keys and values of `lanes` in."""
        shape = self.shape
        for lane in lanes.tolist():
            heard = int(self.heard[lane])
            first = min(heard, shape.old)
            for place in range(shape.places):
                written, target = first + place, (heard + place) % shape.old
                if written >= shape.old:
                    self.kept[:, lane, :, :, target] = self.kept[:, lane, :, :, written]
            self.heard[lane] = heard + shape.places

    def _give_back(self, lane: int) -> None:
        """Let the system have the pages that are all `lane`'s; they come back empty when they are written to."""
        size = self.kept[0, 0].nbytes
        for number in range(len(KINDS)):
            start = (number * self.shape.lanes + lane) * size
            first, last = -(-start // mmap.PAGESIZE), (start + size) // mmap.PAGESIZE
            if first < last:
                self._memory.madvise(mmap.MADV_DONTNEED, first * mmap.PAGESIZE, (last - first) * mmap.PAGESIZE)

    def _bind_lane(self, program: Program, lane: int, own: bool) -> None:
        """Let what `lane` keeps be its own, or nobody's."""
        program.bind(f"places {lane}", self._count[lane : lane + 1].reshape(()))
        program.bind(f"last place {lane}", self._last[lane])
        for layer in range(self.shape.layers):
            for number, kind in enumerate(KINDS):
                array = self.kept[number, lane, layer][None] if own else self._nobodys
                program.bind(kept(kind, layer, lane), array)
                program.bind(renewed(kind, layer, lane), array)
