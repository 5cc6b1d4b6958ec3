"""Attention over what each lane keeps, as the part of a graph that both models share.

onnxruntime's own operator does it, once for each layer and lane: it writes a lane's new keys and values behind its old
ones where they lie (rings.py), and reads as many places as the lane has filled. It cannot do nothing, so a lane without
a frame is given places that are nobody's.
"""

from __future__ import annotations

import numpy as np

from captions.models.kyutai.onnx_backend.graph import CONTRIB, Graph
from captions.models.kyutai.onnx_backend.rings import KINDS, Shape, kept, renewed

__all__ = ["Attention"]


class Attention:
    """Call `attend` for each layer in turn.

    `rows` is the name of the number of rows, A: one for each lane with a frame, each of T places.
    """

    def __init__(self, graph: Graph, shape: Shape, rows: str) -> None:
        self._graph, self._shape = graph, shape
        self._layer = 0
        self._row_of_lane = graph.input("row of lane", np.int64, [shape.lanes])
        self._lane_of_row = graph.input("lane of row", np.int64, [rows])
        self._last = [graph.input(f"last place {lane}", np.int32, [1]) for lane in range(shape.lanes)]
        self._count = [graph.input(f"places {lane}", np.int32, []) for lane in range(shape.lanes)]
        if shape.max_period is not None:
            for name in ("cos", "sin"):
                graph.input(name, np.float32, ["positions given", shape.dim // 2])
            self._positions = graph.input("positions", np.int64, [rows, shape.places])

    def attend(self, projected: str) -> str:
        """What a layer attends to, [A * T, H * D], of its queries, keys and values [A * T, 3 * H * D]."""
        graph, shape = self._graph, self._shape
        width = shape.heads * shape.dim
        values = graph.reshape(projected, -1, shape.places, 3 * width)
        if shape.max_period is not None:
            turned, value = graph.split(values, 2, 2 * width, width)
            turned = graph.contrib("RotaryEmbedding", turned, self._positions, "cos", "sin", interleaved=1)
            values = graph.concat([turned, value], 2)
        lanes = graph.split(graph.gather(values, self._row_of_lane), 0, *[1] * shape.lanes)
        mixed = graph.concat([self._of_lane(lane, values) for lane, values in enumerate(lanes)], 0)
        self._layer += 1
        return graph.reshape(graph.gather(mixed, self._lane_of_row), -1, width)

    def _of_lane(self, lane: int, values: str) -> str:
        """[1, T, H * D]: what a lane attends to, of its queries, keys and values [1, T, 3 * H * D]."""
        graph, shape = self._graph, self._shape
        size: list[int | str] = [1, shape.heads, f"places kept {lane}", shape.dim]
        before = [graph.input(kept(kind, self._layer, lane), np.float32, size) for kind in KINDS]
        after = [renewed(kind, self._layer, lane) for kind in KINDS]
        mixed = f"mixed {self._layer} {lane}"
        inputs = [values, "", "", *before, self._last[lane], self._count[lane]]
        graph.node(
            "GroupQueryAttention", inputs, [mixed, *after], CONTRIB, num_heads=shape.heads, kv_num_heads=shape.heads
        )
        for name in after:
            graph.result(name, np.float32, size)
        return mixed
