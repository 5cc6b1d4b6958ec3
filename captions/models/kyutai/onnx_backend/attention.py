"""Attention over what each lane keeps, as the part of a graph that both models share.

Only the two products with a lane's keys and values are each lane's own: they read the filled blocks of its ring and no
more (rings.py), and a lane without a frame gives none. All that lies between, which is small, is done for all blocks of
all lanes at once. The new places attend to each other before they are in any ring.
"""

from __future__ import annotations

import numpy as np

from captions.models.kyutai.onnx_backend.graph import Graph
from captions.models.kyutai.onnx_backend.rings import MASKED, Shape

__all__ = ["Attention"]

STEPS = 127
ZERO = 128
FINE = 254
"""A weight is rounded to whole steps, and what is left to so many parts of a step: 16 bits in two columns."""


class Attention:
    """Call `attend` for each layer in turn, then `finish`.

    `rows` is the name of the number of lanes with a frame, A. The blocks of all of them are N, of c places. A layer's
    new keys and values go out with the others'. A step has T new places, and T queries.
    """

    def __init__(self, graph: Graph, shape: Shape, rows: str) -> None:
        self._graph, self._shape, self._rows = graph, shape, rows
        self._news: list[str] = []
        self._row_of_lane = graph.input("row of lane", np.int64, [shape.lanes])
        self._row_of_block = graph.input("row of block", np.int64, ["blocks"])
        self._blocks_of_row = graph.input("blocks of row", np.int64, [rows, "most blocks"])
        self._blocks_of_lane = graph.input("blocks of lane", np.int64, [shape.lanes])
        self._mask = graph.input("mask", np.float32, ["blocks", 1, shape.block, 1])
        if shape.max_period is not None:
            for name in ("cos", "sin"):
                graph.input(name, np.float32, [f"{rows} places", shape.dim // 2])
            self._positions = graph.input("positions", np.int64, [rows, shape.places])
        self._none = graph.constant(np.full((1, shape.heads, 1, shape.places), MASKED))
        later = np.tril(np.full((shape.places, shape.places), MASKED, np.float32), -1)
        self._causal = graph.constant(later) if shape.places > 1 else None

    def attend(self, projected: str) -> str:
        """What a layer attends to, [A * T, H * D], of its queries, keys and values [A * T, 3 * H * D]."""
        graph, shape = self._graph, self._shape
        query, key, value = graph.split(projected, 1, *[shape.heads * shape.dim] * 3)
        query = graph.mul(self._turned(query), graph.constant(shape.dim**-0.5))
        key, value = self._turned(key), self._by_head(value)
        self._news += [key, value]
        layer = len(self._news) // 2 - 1
        query = graph.transpose(query, 0, 1, 3, 2)  # [A, H, D, T]
        old = self._old_scores(layer, query)  # [N, H, c, T]
        new = graph.matmul(key, query)  # [A, H, T, T]: a column for each query
        if self._causal is not None:
            new = graph.add(new, self._causal)
        most = self._most(old, new)  # [A, H, 1, T]
        old = graph.op("Exp", graph.op("Sub", old, graph.gather(most, self._row_of_block)))
        new = graph.op("Exp", graph.op("Sub", new, most))
        total = graph.add(self._of_rows(self._sum(old), 1), self._sum(new))
        mixed = self._of_rows(self._old_values(layer, old), shape.dim)
        mixed = graph.add(mixed, graph.matmul(graph.transpose(value, 0, 1, 3, 2), new))
        mixed = graph.op("Div", mixed, total)  # [A, H, D, T]
        return graph.reshape(graph.transpose(mixed, 0, 3, 1, 2), -1, shape.heads * shape.dim)

    def finish(self) -> None:
        """Let the new keys and values of all layers go out, [layers * 2, A, H, T, D]."""
        graph, shape = self._graph, self._shape
        news = [graph.op("Unsqueeze", new, graph.ints(0)) for new in self._news]
        sizes: list[int | str] = [2 * shape.layers, self._rows, shape.heads, shape.places, shape.dim]
        graph.output("news", graph.concat(news, 0), np.float32, sizes)

    def _by_head(self, values: str) -> str:
        """[A, H, T, D] of [A * T, H * D]."""
        graph, shape = self._graph, self._shape
        return graph.transpose(graph.reshape(values, -1, shape.places, shape.heads, shape.dim), 0, 2, 1, 3)

    def _turned(self, values: str) -> str:
        """[A, H, T, D] of [A * T, H * D], turned by the rotary embedding if there is one."""
        values = self._by_head(values)
        if self._shape.max_period is None:
            return values
        return self._graph.contrib("RotaryEmbedding", values, self._positions, "cos", "sin", interleaved=1)

    def _kept(self, kind: str, layer: int, *sizes: int) -> list[str]:
        """What each lane keeps for a layer: an input for each."""
        dtype = np.uint8 if self._shape.rounded and "scales" not in kind else np.float32
        return [
            self._graph.input(f"{kind} {layer} {lane}", dtype, [f"blocks {lane}", self._shape.heads, *sizes])
            for lane in range(self._shape.lanes)
        ]

    def _old_scores(self, layer: int, query: str) -> str:
        """[N, H, c, T]: the score of each place in the rings, for each query [A, H, D, T]."""
        graph, shape = self._graph, self._shape
        keys = self._kept("keys", layer, shape.block, shape.dim)
        if not shape.rounded:
            scores = graph.concat([graph.matmul(*pair) for pair in zip(keys, self._each_lane(query), strict=True)], 0)
            return graph.add(scores, self._mask)
        scale = self._scale(query)
        steps = graph.op("Cast", graph.op("Round", graph.op("Div", query, scale)), to=3)
        sums = self._whole_products(keys, self._each_lane(steps))
        scales = graph.concat(self._kept("key scales", layer, shape.block, 1), 0)
        scales = graph.mul(scales, graph.gather(scale, self._row_of_block))
        return graph.add(graph.mul(sums, scales), self._mask)

    def _old_values(self, layer: int, weights: str) -> str:
        """[N, H, D, T]: the values in each block, by weights [N, H, c, T]."""
        graph, shape = self._graph, self._shape
        values = self._kept("values", layer, shape.dim, shape.block)
        if not shape.rounded:
            pairs = zip(values, self._each_lanes_blocks(weights), strict=True)
            return graph.concat([graph.matmul(*pair) for pair in pairs], 0)
        weights = graph.mul(weights, graph.concat(self._kept("value scales", layer, shape.block, 1), 0))
        scale = self._scale(weights)
        steps = graph.op("Div", weights, scale)
        whole = graph.op("Round", steps)
        rest = graph.op("Round", graph.mul(graph.op("Sub", steps, whole), graph.constant(FINE)))
        columns = graph.op("Cast", graph.concat([whole, rest], 3), to=3)
        sums = self._whole_products(values, self._each_lanes_blocks(columns))
        return graph.mul(graph.matmul(sums, graph.constant([[1], [1 / FINE]])), scale)

    def _scale(self, values: str) -> str:
        """What a step stands for where `values` are rounded, for each head's column of its own; never 0."""
        graph = self._graph
        largest = graph.op("ReduceMax", graph.op("Abs", values), graph.ints(2), keepdims=1)
        return graph.op("Max", graph.mul(largest, graph.constant(1 / STEPS)), graph.constant(1e-30))

    def _whole_products(self, kept: list[str], columns: list[str]) -> str:
        """The products of each lane's bytes and its columns of int8, one lane behind the other."""
        graph = self._graph
        zero = graph.constant(ZERO, np.uint8)
        sums = [graph.op("MatMulInteger", one, other, zero) for one, other in zip(kept, columns, strict=True)]
        return graph.op("Cast", graph.concat(sums, 0), to=1)

    def _each_lane(self, values: str) -> list[str]:
        """The row of each lane, [1, ...]. For a lane that has none it is any other's."""
        every = self._graph.gather(values, self._row_of_lane)
        return self._graph.split(every, 0, *[1] * self._shape.lanes)

    def _each_lanes_blocks(self, values: str) -> list[str]:
        """[N, ...] cut into what is each lane's."""
        return self._graph.ops("Split", self._shape.lanes, values, self._blocks_of_lane, axis=0)

    def _most(self, old: str, new: str) -> str:
        """[A, H, 1, T]: the highest score of each row."""
        graph = self._graph
        of_block = graph.op("ReduceMax", old, graph.ints(2), keepdims=1)
        of_rows = graph.gather(graph.concat([of_block, self._none], 0), self._blocks_of_row)
        of_row = graph.op("ReduceMax", of_rows, graph.ints(1), keepdims=0)
        return graph.op("Max", of_row, graph.op("ReduceMax", new, graph.ints(2), keepdims=1))

    def _sum(self, weights: str) -> str:
        return self._graph.op("ReduceSum", weights, self._graph.ints(2), keepdims=1)

    def _of_rows(self, values: str, size: int) -> str:
        """[A, H, size, T]: the blocks' values [N, H, size, T] added up for each row.

        Each row takes its own blocks, rather than all of them times 0 or 1: what is no number stays its lane's matter.
        """
        graph, shape = self._graph, self._shape
        none = graph.constant(np.zeros((1, shape.heads, size, shape.places)))
        of_rows = graph.gather(graph.concat([values, none], 0), self._blocks_of_row)
        return graph.op("ReduceSum", of_rows, graph.ints(1), keepdims=0)
