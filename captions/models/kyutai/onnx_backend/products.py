"""Products with the language model's weights, in float32, int8 or 4 bits: how each is stored and how it is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from captions.models.kyutai.onnx_backend.graph import Graph
from captions.models.kyutai.onnx_backend.tensors import Planned

__all__ = ["KINDS", "Products"]

F32, I8, U8 = np.dtype(np.float32), np.dtype(np.int8), np.dtype(np.uint8)
Read = Callable[[], NDArray[np.float32]]
"""Reads a weight [N, K]: N results from K values."""


class Products(Protocol):
    """A way to store a weight [N, K] and to multiply rows of K values with it.

    `exact`: nothing is rounded, so neither should what the model keeps of its lanes be.
    """

    exact: bool

    def plan(self, name: str, shape: tuple[int, int], read: Read) -> list[Planned]:
        """The tensors, named after `name`, that hold a weight of `shape`."""

    def product(self, graph: Graph, rows: str, name: str) -> str:
        """[R, N] of `rows` [R, K] and the weight `name`. A row's result depends on no other row."""


class Float32:
    """The weight as it is, transposed."""

    exact = True

    def plan(self, name: str, shape: tuple[int, int], read: Read) -> list[Planned]:
        return [Planned(name, F32, shape[::-1], lambda: read().T)]

    def product(self, graph: Graph, rows: str, name: str) -> str:
        return graph.matmul(rows, graph.weight(name))


class Int8:
    """Eight bits a value, with a scale for each result; what is multiplied is rounded with a scale for each row.

    A scale for a whole batch, as onnx's own dynamic quantization has, would let one lane's loudness move another's
    tokens. The sums are of whole numbers, so they are the same in whatever order they are added.
    """

    exact = False
    STEPS = 127
    ZERO = 128
    LEAST = 1e-10
    """A row of nothing but zeros is scaled by this."""

    def plan(self, name: str, shape: tuple[int, int], read: Read) -> list[Planned]:
        results, values = shape
        return [
            Planned(name, I8, (values, results), lambda: self._rounded(read())),
            Planned(f"{name}.scale", F32, (results,), lambda: self._scale(read())),
        ]

    def product(self, graph: Graph, rows: str, name: str) -> str:
        largest = graph.op("ReduceMax", graph.op("Abs", rows), graph.ints(-1), keepdims=1)
        scale = graph.op("Max", graph.mul(largest, graph.constant(1 / self.STEPS)), graph.constant(self.LEAST))
        steps = graph.op("Round", graph.op("Div", rows, scale))
        rounded = graph.op("Cast", graph.add(steps, graph.constant(float(self.ZERO))), to=2)
        sums = graph.contrib(
            "MatMulIntegerToFloat",
            rounded,
            graph.weight(name),
            graph.constant(1.0),
            graph.weight(f"{name}.scale"),
            graph.constant(self.ZERO, np.uint8),
        )
        return graph.mul(sums, scale)

    def _scale(self, weight: NDArray[np.float32]) -> NDArray[np.float32]:
        largest: NDArray[np.float32] = np.maximum(weight.max(1), -weight.min(1))
        return np.maximum(largest / self.STEPS, np.float32(self.LEAST)).astype(np.float32)

    def _rounded(self, weight: NDArray[np.float32]) -> NDArray[np.int8]:
        weight = weight / self._scale(weight)[:, None]
        return np.rint(weight, out=weight).astype(np.int8).T


class Int4:
    """Four bits a value, with a scale for each block of a result's weights; the sums are those of eight-bit numbers."""

    exact = False
    BITS = 4
    ZERO = 8
    ACCURACY = 4
    """onnxruntime's name for rounding what is multiplied to int8."""

    def __init__(self, block: int = 32) -> None:
        self._block = block

    def plan(self, name: str, shape: tuple[int, int], read: Read) -> list[Planned]:
        results, values = shape
        blocks = -(-values // self._block)
        return [
            Planned(name, U8, (results, blocks, self._block // 2), lambda: self._packed(read())),
            Planned(f"{name}.scale", F32, (results, blocks), lambda: self._scale(self._blocks(read()))[:, :, 0]),
            Planned(f"{name}.values", I8, (0, values), lambda: np.zeros((0, values), np.int8)),
        ]

    def product(self, graph: Graph, rows: str, name: str) -> str:
        results, values = graph.shape(name)[0], graph.shape(f"{name}.values")[1]
        return graph.contrib(
            "MatMulNBits",
            rows,
            graph.weight(name),
            graph.weight(f"{name}.scale"),
            K=values,
            N=results,
            bits=self.BITS,
            block_size=self._block,
            accuracy_level=self.ACCURACY,
        )

    def _blocks(self, weight: NDArray[np.float32]) -> NDArray[np.float32]:
        """[N, blocks, block], filled up with zeros."""
        filled = np.pad(weight, ((0, 0), (0, -weight.shape[1] % self._block)))
        return filled.reshape(len(weight), -1, self._block)

    def _scale(self, blocks: NDArray[np.float32]) -> NDArray[np.float32]:
        """[N, blocks, 1]: the value farthest from zero becomes -8, the one step that has no counterpart above zero."""
        place = np.abs(blocks).argmax(-1, keepdims=True)
        scale = np.take_along_axis(blocks, place, -1) / -self.ZERO
        return np.where(scale == 0, np.float32(1), scale).astype(np.float32)

    def _packed(self, weight: NDArray[np.float32]) -> NDArray[np.uint8]:
        blocks = self._blocks(weight)
        steps = np.clip(np.rint(blocks / self._scale(blocks)) + self.ZERO, 0, 2 * self.ZERO - 1).astype(np.uint8)
        packed: NDArray[np.uint8] = steps[..., ::2] | steps[..., 1::2] << self.BITS
        return packed


KINDS: dict[str, Products] = {"float32": Float32(), "int8": Int8(), "int4": Int4()}
