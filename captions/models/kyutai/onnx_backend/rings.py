"""The keys and values that a model keeps of each lane, in rings, bound to its graph where they lie.

A ring is cut into blocks of places, all heads of a block together, so that its first blocks lie together in memory. A
graph is given as many of them as the lane has filled, without a copy; it gives back the new keys and values, and these
are written into the rings between two runs.

Rounded rings hold a byte a value, with a scale for each place and head: a step reads a quarter of what float32 takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captions.models.kyutai.onnx_backend.program import Program

__all__ = ["MASKED", "Rings", "Shape"]

MASKED = -1e30
"""Added to the score of a place that is not to be seen."""

STEPS = 127
ZERO = 128


@dataclass(frozen=True, slots=True)
class Shape:
    """`lanes` rings for each of `layers`, of `context` places; a step brings `places` new ones.

    `dim`: values a head. `max_period`: of the rotary embedding, or None for none. `rounded`: to bytes. `block`: places.
    """

    lanes: int
    layers: int
    heads: int
    dim: int
    context: int
    places: int
    max_period: float | None
    rounded: bool = False
    block: int = 64

    @property
    def blocks(self) -> int:
        """In a whole ring. The last places of the last may never be used."""
        return -(-self.context // self.block)


class Rings:
    """The rings of every lane. Call `reset` for a lane, then for each step `bind`, run the program, and `advance`.

    `heard` [B]: the places each lane has taken in. `keys` [B, layers, blocks, H, block, D] and `values`, whose last two
    axes are the other way round, so that both stand left in a product; `scales` [2, B, layers, blocks, H, block, 1].
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        lanes, places = shape.lanes, shape.places
        kept, dtype = (lanes, shape.layers, shape.blocks, shape.heads), np.uint8 if shape.rounded else np.float32
        self.keys: NDArray[Any] = np.zeros((*kept, shape.block, shape.dim), dtype)
        self.values: NDArray[Any] = np.zeros((*kept, shape.dim, shape.block), dtype)
        self.scales = np.zeros((2, *kept, shape.block if shape.rounded else 0, 1), np.float32)
        self.heard = np.zeros(lanes, np.int64)
        self._start: NDArray[np.float32] | None = None
        self._mask_of_lane = np.full((lanes, shape.blocks, 1, shape.block, 1), MASKED, np.float32)
        self._mask = np.zeros((lanes * shape.blocks, 1, shape.block, 1), np.float32)
        self._given: list[tuple[int, int]] = []
        self._news = np.zeros(2 * shape.layers * lanes * shape.heads * places * shape.dim, np.float32)
        self._positions = np.arange(lanes * places).reshape(lanes, places)
        self._cos = np.zeros((lanes * places, shape.dim // 2), np.float32)
        self._sin = np.zeros_like(self._cos)
        if shape.max_period is not None:
            halves = np.arange(shape.dim // 2, dtype=np.float32)
            self._frequencies = np.exp(halves * np.float32(-np.log(shape.max_period) * 2 / shape.dim))

    def reset(self, lanes: Sequence[int]) -> None:
        """Forget what `lanes` have heard, but for what `start_from` has noted.

        Masked places are zeroed, too: a mask adds to a score and weighs a value with 0, and neither helps against what
        is no number. Bytes are always numbers, their scales are not.
        """
        for lane in lanes:
            used = -(-int(self.heard[lane]) // self.shape.block)
            if self.shape.rounded:
                self.scales[:, lane, :, :used] = 0.0
            else:
                self.keys[lane, :, :used] = self.values[lane, :, :used] = 0.0
            self.fill(lane, 0)
        if self._start is not None:
            for lane in lanes:
                self._write(lane, self._start)

    def start_from(self, news: NDArray[np.float32]) -> None:
        """Let every later reset leave a lane with `news` [layers, 2, H, T, D], as a step has brought them."""
        self._start = news.copy()

    def fill(self, lane: int, heard: int) -> None:
        """Let `lane` have heard the first `heard` places of whatever is in its rings; for measurements."""
        self.heard[lane] = heard
        mask = self._mask_of_lane[lane].reshape(-1)
        mask[:] = MASKED
        mask[: min(heard, self.shape.context)] = 0
        self._hide_next(lane)

    def bind(self, program: Program, lanes: NDArray[np.intp]) -> None:
        """Give `program` what `lanes`, in rising order, keep, and have it write their new keys and values here."""
        shape, count = self.shape, len(lanes)
        blocks = np.minimum(-(-self.heard[lanes] // shape.block), shape.blocks)
        given = list(zip(lanes.tolist(), blocks.tolist(), strict=True))
        if given != self._given:
            self._bind_blocks(program, lanes, blocks)
            self._given = given
        first = 0
        for lane, filled in given:
            self._mask[first : first + filled] = self._mask_of_lane[lane, :filled]
            first += filled
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
        news = self.news(len(lanes))
        for row, lane in enumerate(lanes.tolist()):
            self._write(lane, news[:, :, row])

    def news(self, count: int) -> NDArray[np.float32]:
        """The new keys and values of the last step's `count` lanes, [layers, 2, A, H, T, D]."""
        shape = self.shape
        return self._newest(count).reshape(shape.layers, 2, count, shape.heads, shape.places, shape.dim)

    def _newest(self, count: int) -> NDArray[np.float32]:
        """Where a program writes the new keys and values of `count` lanes, [layers * 2, A, H, T, D]."""
        shape = self.shape
        size = [2 * shape.layers, count, shape.heads, shape.places, shape.dim]
        return self._news[: int(np.prod(size))].reshape(size)

    def _write(self, lane: int, news: NDArray[np.float32]) -> None:
        """Put a step's keys and values [layers, 2, H, T, D] behind what `lane` has heard."""
        shape = self.shape
        kept: NDArray[Any] = news
        if shape.rounded:
            scales = np.maximum(np.abs(news).max(-1, keepdims=True) / STEPS, np.float32(1e-30))
            kept = (np.rint(news / scales) + ZERO).astype(np.uint8)
        for place in range(shape.places):
            block, within = divmod(int(self.heard[lane] + place) % shape.context, shape.block)
            self.keys[lane, :, block, :, within] = kept[:, 0, :, place]
            self.values[lane, :, block, :, :, within] = kept[:, 1, :, place]
            if shape.rounded:
                self.scales[:, lane, :, block, :, within] = scales[:, :, :, place].swapaxes(0, 1)
            self._mask_of_lane[lane, block, 0, within] = 0
        self.heard[lane] += shape.places
        self._hide_next(lane)

    def _hide_next(self, lane: int) -> None:
        """Hide the places that the lane's next ones will take: they are a whole context old by then."""
        for place in range(self.shape.places):
            block, within = divmod(int(self.heard[lane] + place) % self.shape.context, self.shape.block)
            self._mask_of_lane[lane, block, 0, within] = MASKED

    def _bind_blocks(self, program: Program, lanes: NDArray[np.intp], blocks: NDArray[np.int64]) -> None:
        """Give `program` the first `blocks` blocks of each of `lanes`, none of the others, and who has which."""
        shape, count, total = self.shape, len(lanes), int(blocks.sum())
        row_of_lane, blocks_of_lane = np.zeros(shape.lanes, np.int64), np.zeros(shape.lanes, np.int64)
        row_of_lane[lanes], blocks_of_lane[lanes] = np.arange(count), blocks
        row_of_block = np.repeat(np.arange(count), blocks)
        numbers = np.arange(max(1, int(blocks.max())))
        firsts = np.cumsum(blocks) - blocks
        blocks_of_row = np.where(numbers < blocks[:, None], firsts[:, None] + numbers, total)
        program.bind("row of lane", row_of_lane)
        program.bind("blocks of lane", blocks_of_lane)
        program.bind("row of block", row_of_block)
        program.bind("blocks of row", blocks_of_row)
        program.bind("mask", self._mask[:total])
        for lane, filled in enumerate(blocks_of_lane.tolist()):
            for layer in range(shape.layers):
                program.bind(f"keys {layer} {lane}", self.keys[lane, layer, :filled])
                program.bind(f"values {layer} {lane}", self.values[lane, layer, :filled])
                if shape.rounded:
                    program.bind(f"key scales {layer} {lane}", self.scales[0, lane, layer, :filled])
                    program.bind(f"value scales {layer} {lane}", self.scales[1, lane, layer, :filled])
