"""Attention over what each lane keeps, as the part of a graph that both models share.

Each lane attends by operators of its own, which are given the blocks of its ring that are filled and no more
(rings.py); a lane without a frame gives none. The new places attend to each other before they are in any ring.
"""

from __future__ import annotations

import numpy as np

from captions.models.kyutai.onnx_backend.graph import Graph
from captions.models.kyutai.onnx_backend.rings import MASKED, Shape

__all__ = ["Attention"]


class Attention:
    """Call `attend` for each layer in turn, then `finish`.

    `rows` is the name of the number of lanes with a frame, A. A layer's new keys and values go out with the others.
    """

    def __init__(self, graph: Graph, shape: Shape, rows: str) -> None:
        self._graph, self._shape, self._rows = graph, shape, rows
        self._news: list[str] = []
        self._row = [graph.input(f"row {lane}", np.int64, [1]) for lane in range(shape.lanes)]
        self._active = graph.input("active", np.int64, [rows])
        self._mask = [graph.input(f"mask {lane}", np.float32, [1, 1, f"places {lane}"]) for lane in range(shape.lanes)]
        if shape.max_period is not None:
            for name in ("cos", "sin"):
                graph.input(name, np.float32, [f"{rows} places", shape.dim // 2])
            self._positions = graph.input("positions", np.int64, [rows, shape.places])
        triangle = np.triu(np.full((shape.places, shape.places), MASKED, np.float32), 1)
        self._causal = graph.constant(triangle) if shape.places > 1 else None

    def attend(self, projected: str) -> str:
        """What a layer attends to, [A * T, H * D], of its queries, keys and values [A * T, 3 * H * D]."""
        graph, shape = self._graph, self._shape
        query, key, value = graph.split(projected, 1, *[shape.heads * shape.dim] * 3)
        query, key = self._turned(query), self._turned(key)
        value = graph.transpose(graph.reshape(value, -1, shape.places, shape.heads, shape.dim), 0, 2, 1, 3)
        self._news += [key, value]
        query = graph.mul(query, graph.constant(shape.dim**-0.5))
        columns = graph.transpose(query, 0, 1, 3, 2)
        scores = graph.matmul(query, graph.transpose(key, 0, 1, 3, 2))
        if self._causal is not None:
            scores = graph.add(scores, self._causal)
        layer = len(self._news) // 2 - 1
        mixed = [self._lane(layer, lane, columns, scores, value) for lane in range(shape.lanes)]
        rows = graph.gather(graph.concat(mixed, 0), self._active)
        return graph.reshape(graph.transpose(rows, 0, 2, 1, 3), -1, shape.heads * shape.dim)

    def finish(self) -> None:
        """Let the new keys and values of all layers go out, [layers * 2, A, H, T, D]."""
        graph, shape = self._graph, self._shape
        news = [graph.op("Unsqueeze", new, graph.ints(0)) for new in self._news]
        sizes: list[int | str] = [2 * shape.layers, self._rows, shape.heads, shape.places, shape.dim]
        graph.output("news", graph.concat(news, 0), np.float32, sizes)

    def _turned(self, values: str) -> str:
        """[A, H, T, D] of [A * T, H * D], turned by the rotary embedding if there is one."""
        graph, shape = self._graph, self._shape
        values = graph.reshape(values, -1, shape.places, shape.heads, shape.dim)
        values = graph.transpose(values, 0, 2, 1, 3)
        if shape.max_period is None:
            return values
        return graph.contrib("RotaryEmbedding", values, self._positions, "cos", "sin", interleaved=1)

    def _lane(self, layer: int, lane: int, columns: str, scores: str, values: str) -> str:
        """What `lane` attends to, [1, H, T, D]: in its ring, and among the new places."""
        graph, shape = self._graph, self._shape
        blocks: list[int | str] = [f"blocks {lane}", shape.heads, shape.block, shape.dim]
        keys, old_values = (graph.input(f"{kind} {layer} {lane}", np.float32, blocks) for kind in ("keys", "values"))
        row = self._row[lane]
        old = graph.matmul(keys, graph.gather(columns, row))
        old = graph.reshape(graph.transpose(old, 1, 3, 0, 2), shape.heads, shape.places, -1)
        old = graph.op("Unsqueeze", graph.add(old, self._mask[lane]), graph.ints(0))
        weights = graph.op("Softmax", graph.concat([graph.gather(scores, row), old], 3), axis=-1)
        new_weights = graph.slice(weights, 3, 0, shape.places)
        old_weights = graph.slice(weights, 3, shape.places, 1 << 30)
        old_weights = graph.reshape(old_weights, shape.heads, shape.places, -1, shape.block)
        mixed = graph.matmul(graph.transpose(old_weights, 2, 0, 1, 3), old_values)
        mixed = graph.op("ReduceSum", mixed, graph.ints(0), keepdims=1)
        return graph.add(mixed, graph.matmul(new_weights, graph.gather(values, row)))
