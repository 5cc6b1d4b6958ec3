"""Products with the language model's weights, in float32, int8 or 4 bits: how each is stored and how it is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from captions.models.kyutai.onnx_backend.graph import Graph
from captions.models.kyutai.onnx_backend.tensors import Planned

__all__ = ["KINDS", "Products"]

F32, U8 = np.dtype(np.float32), np.dtype(np.uint8)
Read = Callable[[], NDArray[np.float32]]
"""Reads a weight [N, K]: N results from K values."""


FARTHEST = {8: 127, 4: -8}
"""The step that the value farthest from zero becomes, by bits. The lowest of the few of 4 bits has none above zero."""


class Products(Protocol):
    """A way to store a weight [N, K] and to multiply rows of K values with it."""

    def plan(self, name: str, shape: tuple[int, int], read: Read) -> list[Planned]:
        """The tensors, named after `name`, that hold a weight of `shape`."""

    def product(self, graph: Graph, rows: str, name: str, values: int) -> str:
        """[R, N] of `rows` [R, K] and the weight `name`, where K is `values`. Rows do not mix."""


class Float32:
    """The weight as it is, transposed."""

    def plan(self, name: str, shape: tuple[int, int], read: Read) -> list[Planned]:
        return [Planned(name, F32, shape[::-1], lambda: read().T)]

    def product(self, graph: Graph, rows: str, name: str, values: int) -> str:  # noqa: ARG002 -- the weight has it
        return graph.matmul(rows, graph.weight(name))


class Rounded:
    """Whole numbers of `bits` bits, 8 or 4, with a scale for each `block` of the weights of a result.

    The operator rounds each row to eight bits as well, with a scale for each of the row's own blocks. onnx's dynamic
    quantization has one for a whole batch, by which one lane's loudness would move another's tokens.
    """

    ACCURACY = 4
    """onnxruntime's name for rounding what is multiplied to int8."""

    def __init__(self, bits: int, block: int) -> None:
        self._bits, self._block = bits, block
        self._zero = 1 << (bits - 1)

    def plan(self, name: str, shape: tuple[int, int], read: Read) -> list[Planned]:
        results, values = shape
        blocks = -(-values // self._block)
        return [
            Planned(name, U8, (results, blocks, self._block * self._bits // 8), lambda: self._packed(read())),
            Planned(f"{name}.scale", F32, (results, blocks), lambda: self._scale(self._blocks(read()))[:, :, 0]),
        ]

    def product(self, graph: Graph, rows: str, name: str, values: int) -> str:
        return graph.contrib(
            "MatMulNBits",
            rows,
            graph.weight(name),
            graph.weight(f"{name}.scale"),
            K=values,
            N=graph.shape(name)[0],
            bits=self._bits,
            block_size=self._block,
            accuracy_level=self.ACCURACY,
        )

    def _blocks(self, weight: NDArray[np.float32]) -> NDArray[np.float32]:
        """[N, blocks, block], filled up with zeros."""
        filled = np.pad(weight, ((0, 0), (0, -weight.shape[1] % self._block)))
        return filled.reshape(len(weight), -1, self._block)

    def _scale(self, blocks: NDArray[np.float32]) -> NDArray[np.float32]:
        """[N, blocks, 1]."""
        lowest, highest = blocks.min(-1, keepdims=True), blocks.max(-1, keepdims=True)
        scale = np.where(-lowest > highest, lowest, highest) / FARTHEST[self._bits]
        return np.where(scale == 0, np.float32(1), scale).astype(np.float32)

    def _packed(self, weight: NDArray[np.float32]) -> NDArray[np.uint8]:
        steps = self._blocks(weight)
        steps = steps / self._scale(steps)
        np.rint(steps, out=steps)
        steps += self._zero
        whole = np.clip(steps, 0, 2 * self._zero - 1, out=steps).astype(np.uint8)
        if self._bits == 8:
            return whole
        packed: NDArray[np.uint8] = (whole[..., ::2] | whole[..., 1::2] << self._bits).astype(np.uint8)
        return packed


KINDS: dict[str, Products] = {"float32": Float32(), "int8": Rounded(8, 256), "int4": Rounded(4, 128)}
