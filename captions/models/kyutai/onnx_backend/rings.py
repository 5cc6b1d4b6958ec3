"""The keys and values that a model keeps of each lane, in rings, bound to its graph where they lie.

A ring is cut into blocks of places, all heads of a block together, so that its first blocks lie together in memory. A
graph is given as many of them as the lane has filled, without a copy; it gives back the new keys and values, and these
are written into the rings between two runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captions.models.kyutai.onnx_backend.program import Program

__all__ = ["MASKED", "Rings", "Shape"]

MASKED = -1e30
"""Added to the score of a place that is not to be seen."""


@dataclass(frozen=True, slots=True)
class Shape:
    """`lanes` rings for each of `layers`, of `context` places; a step brings `places` new ones.

    `dim`: values a head. `max_period`: of the rotary embedding, or None for none. `block`: places.
    """

    lanes: int
    layers: int
    heads: int
    dim: int
    context: int
    places: int
    max_period: float | None
    block: int = 64

    @property
    def blocks(self) -> int:
        """In a whole ring. The last places of the last may never be used."""
        return -(-self.context // self.block)


class Rings:
    """The rings of every lane. Call `reset` for a lane, then for each step `bind`, run the program, and `advance`.

    `kept` [B, layers, 2, blocks, H, block, D]: keys and values. `heard` [B]: the places each lane has taken in.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        lanes, places = shape.lanes, shape.places
        self.kept = np.zeros((lanes, shape.layers, 2, shape.blocks, shape.heads, shape.block, shape.dim), np.float32)
        self.heard = np.zeros(lanes, np.int64)
        self._mask = np.full((lanes, shape.blocks * shape.block), MASKED, np.float32)
        self._blocks: list[int | None] = [None] * lanes
        self._row = np.zeros((lanes, 1), np.int64)
        self._active = np.zeros(lanes, np.int64)
        self._news = np.zeros(2 * shape.layers * lanes * shape.heads * places * shape.dim, np.float32)
        self._positions = np.arange(lanes * places).reshape(lanes, places)
        self._cos = np.zeros((lanes * places, shape.dim // 2), np.float32)
        self._sin = np.zeros_like(self._cos)
        if shape.max_period is not None:
            halves = np.arange(shape.dim // 2, dtype=np.float32)
            self._frequencies = np.exp(halves * np.float32(-np.log(shape.max_period) * 2 / shape.dim))

    def reset(self, lanes: Sequence[int], heard: int = 0) -> None:
        """Forget what `lanes` keep, and let them have heard the first `heard` places, which are to be written.

        Masked places are zeroed, too: a mask adds to a score and weighs a value with 0, and neither helps against what
        is no number.
        """
        for lane in lanes:
            used = -(-int(self.heard[lane]) // self.shape.block)
            self.kept[lane, :, :, :used] = 0.0
            self.heard[lane] = heard
            self._mask[lane] = MASKED
            self._mask[lane, : min(heard, self.shape.context)] = 0
            self._hide_next(lane)

    def bind(self, program: Program, lanes: NDArray[np.intp]) -> None:
        """Give `program` what `lanes`, in rising order, keep, and have it write their new keys and values here."""
        shape, count = self.shape, len(lanes)
        self._active[:count] = lanes
        self._row[lanes, 0] = np.arange(count)
        program.bind("active", self._active[:count])
        has_frame = np.zeros(shape.lanes, np.bool_)
        has_frame[lanes] = True
        for lane in range(shape.lanes):
            blocks = min(-(-int(self.heard[lane]) // shape.block), shape.blocks) if has_frame[lane] else 0
            if not has_frame[lane]:
                self._row[lane] = 0
            if blocks != self._blocks[lane]:
                self._bind_lane(program, lane, blocks)
        if shape.max_period is not None:
            positions = self.heard[lanes, None] + np.arange(shape.places)
            angles = positions.reshape(-1, 1).astype(np.float32) * self._frequencies
            np.cos(angles, self._cos[: len(angles)])
            np.sin(angles, self._sin[: len(angles)])
            program.bind("cos", self._cos[: len(angles)])
            program.bind("sin", self._sin[: len(angles)])
            program.bind("positions", self._positions[:count])
        program.bind("news", self._newest(count))

    def advance(self, lanes: NDArray[np.intp]) -> None:
        """Take the new keys and values of `lanes` in."""
        shape = self.shape
        news = self._newest(len(lanes)).reshape(shape.layers, 2, len(lanes), shape.heads, shape.places, shape.dim)
        for row, lane in enumerate(lanes.tolist()):
            for place in range(shape.places):
                slot = int(self.heard[lane] + place) % shape.context
                block, within = divmod(slot, shape.block)
                self.kept[lane, :, :, block, :, within] = news[:, :, row, :, place]
                self._mask[lane, slot] = 0
            self.heard[lane] += shape.places
            self._hide_next(lane)

    def _newest(self, count: int) -> NDArray[np.float32]:
        """Where a program writes the new keys and values of `count` lanes, [layers * 2, A, H, T, D]."""
        shape = self.shape
        size = [2 * shape.layers, count, shape.heads, shape.places, shape.dim]
        return self._news[: int(np.prod(size))].reshape(size)

    def _hide_next(self, lane: int) -> None:
        """Hide the places that the lane's next ones will take: they are a whole context old by then."""
        for place in range(self.shape.places):
            self._mask[lane, int(self.heard[lane] + place) % self.shape.context] = MASKED

    def _bind_lane(self, program: Program, lane: int, blocks: int) -> None:
        """Give `program` the first `blocks` blocks of a lane."""
        self._blocks[lane] = blocks
        program.bind(f"row {lane}", self._row[lane])
        program.bind(f"mask {lane}", self._mask[None, None, lane, : blocks * self.shape.block])
        for layer in range(self.shape.layers):
            program.bind(f"keys {layer} {lane}", self.kept[lane, layer, 0, :blocks])
            program.bind(f"values {layer} {lane}", self.kept[lane, layer, 1, :blocks])
