"""Mimi's encoder as a graph: a frame of each lane in, its codes out.

The arithmetic is moshi's (`SEANetEncoder`, `ProjectedTransformer`, `ConvDownsample1d`, `SplitResidualVectorQuantizer`).
Values lie place by place, [A, T, C], so that every convolution is one product of rows with its weights: onnxruntime's
own convolution of one dimension copies more, and is slow where places are few.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from captions.models.kyutai.onnx_backend.attention import Attention
from captions.models.kyutai.onnx_backend.graph import Graph
from captions.models.kyutai.onnx_backend.mimi_weights import (
    TRANSFORMER,
    Convolution,
    convolutions,
    parts_of,
    places_of,
    state_size,
)
from captions.models.kyutai.onnx_backend.rings import Shape
from captions.models.kyutai.onnx_backend.tensors import Tensors
from captions.types import FRAME_SAMPLES

__all__ = ["attention_shape", "mimi_graph"]

NORM_EPSILON = 1e-5


def attention_shape(config: Mapping[str, Any], lanes: int) -> Shape:
    """What Mimi's transformer keeps of each of `lanes` lanes."""
    transformer = config["transformer"]
    return Shape(
        lanes=lanes,
        layers=transformer["num_layers"],
        heads=transformer["num_heads"],
        dim=transformer["d_model"] // transformer["num_heads"],
        context=transformer["context"],
        places=places_of(config),
        max_period=transformer["max_period"] if transformer["positional_embedding"] == "rope" else None,
    )


def mimi_graph(config: Mapping[str, Any], tensors: Tensors, codebooks: int, shape: Shape) -> bytes:
    """The encoder over the converted `tensors`.

    In: `pcm` [A, 1920], `state` [A, S] of the convolutions and `fresh` [A, 1, 1], whether it is a lane's first frame;
    besides what `Attention` wants. Out: `codes` [A, K] and `next state`.
    """
    graph = Graph(tensors)
    pcm = graph.input("pcm", np.float32, ["rows", FRAME_SAMPLES])
    convs = convolutions(config)
    state = graph.input("state", np.float32, ["rows", state_size(config)])
    fresh = graph.input("fresh", np.bool_, ["rows", 1, 1])
    attention = Attention(graph, shape, "rows")
    convolve = _Convolver(graph, convs, state)
    values = convolve(graph.reshape(pcm, 0, FRAME_SAMPLES, 1))
    seanet = config["seanet"]
    for _ in seanet["ratios"]:
        for _ in range(seanet["n_residual_layers"]):
            values = graph.add(values, convolve(_elu(graph, convolve(_elu(graph, values)))))
        values = convolve(_elu(graph, values))
    values = convolve(_elu(graph, values))
    dim, places = config["transformer"]["d_model"], places_of(config)
    values = _transformer(graph, config["transformer"], attention, graph.reshape(values, -1, dim))
    values = graph.reshape(values, -1, places, dim)
    if places > 1:
        values = convolve(values, fresh)
    latent = graph.reshape(values, -1, dim)
    codes = [code for part in parts_of(codebooks) for code in _nearest(graph, latent, *part)]
    by_codebook = graph.reshape(graph.concat(codes, 0), codebooks, -1)
    graph.output("codes", graph.transpose(by_codebook, 1, 0), np.int64, ["rows", codebooks])
    graph.output("next state", convolve.next_state(), np.float32, ["rows", state_size(config)])
    return graph.model()


class _Convolver:
    """The convolutions one after the other; each call computes the next."""

    def __init__(self, graph: Graph, convs: list[Convolution], state: str) -> None:
        self._graph, self._convs = graph, iter(convs)
        self._states = iter(graph.split(state, 1, *(conv.state_size for conv in convs if conv.state_size)))
        self._next: list[str] = []

    def __call__(self, values: str, fresh: str | None = None) -> str:
        """[A, T / stride, C'] of values [A, T, C]. Where `fresh`, the first place stands for those before it."""
        graph, conv = self._graph, next(self._convs)
        if conv.remembers:
            before = graph.reshape(next(self._states), -1, conv.remembers, conv.inputs)
            if fresh is not None:
                before = graph.op("Where", fresh, graph.slice(values, 1, 0, 1), before)
            values = graph.concat([before, values], 1)
            kept = graph.slice(values, 1, -conv.remembers, 1 << 30)
            self._next.append(graph.reshape(kept, -1, conv.state_size))
        if conv.stride > 1:
            strides = graph.reshape(values, 0, -1, conv.stride * conv.inputs)
            windows = [graph.slice(strides, 1, 0, -1), graph.slice(strides, 1, 1, 1 << 30)]
        elif conv.kernel > 1:
            ends = [(conv.kernel - 1 - tap) * conv.dilation for tap in range(conv.kernel)]
            starts = [tap * conv.dilation for tap in range(conv.kernel)]
            windows = [
                graph.slice(values, 1, start, -end if end else 1 << 30) for start, end in zip(starts, ends, strict=True)
            ]
        else:
            windows = [values]
        result = graph.matmul(graph.concat(windows, 2), graph.weight(f"mimi.{conv.name}.weight"))
        return graph.add(result, graph.weight(f"mimi.{conv.name}.bias")) if conv.bias else result

    def next_state(self) -> str:
        return self._graph.concat(self._next, 1)


def _elu(graph: Graph, values: str) -> str:
    return graph.op("Elu", values)


def _transformer(graph: Graph, config: Mapping[str, Any], attention: Attention, values: str) -> str:
    """The transformer over rows [A * T, C]."""
    for number in range(config["num_layers"]):
        layer = f"mimi.{TRANSFORMER}.{number}"

        def norm(values: str, name: str, layer: str = layer) -> str:
            weights = graph.weight(f"{layer}.{name}.weight"), graph.weight(f"{layer}.{name}.bias")
            return graph.op("LayerNormalization", values, *weights, axis=-1, epsilon=NORM_EPSILON)

        def product(values: str, name: str, layer: str = layer) -> str:
            return graph.matmul(values, graph.weight(f"{layer}.{name}.weight"))

        def add(values: str, update: str, scale: str, layer: str = layer) -> str:
            if config["layer_scale"] is not None:
                update = graph.mul(update, graph.weight(f"{layer}.{scale}.scale"))
            return graph.add(values, update)

        mixed = attention.attend(product(norm(values, "norm1"), "self_attn.in_projs.0"))
        values = add(values, product(mixed, "self_attn.out_projs.0"), "layer_scale_1")
        wide = graph.op("Gelu", product(norm(values, "norm2"), "linear1"))
        values = add(values, product(wide, "linear2"), "layer_scale_2")
    return values


def _nearest(graph: Graph, latent: str, part: str, first: int, count: int) -> list[str]:
    """The codes [A] of each codebook of a part: the nearest point, and of what is left the nearest, and so on.

    The nearest has the smallest |e|^2 / 2 - x e.
    """
    rest = graph.matmul(latent, graph.weight(f"mimi.{part}.input_proj"))
    codes = []
    for number in range(first, first + count):
        points = graph.weight(f"mimi.points.{number}")
        near = graph.op("Gemm", rest, points, graph.weight(f"mimi.norms.{number}"), alpha=-1.0, transB=1)
        codes.append(graph.op("ArgMin", near, axis=1, keepdims=0))
        if number + 1 < first + count:
            rest = graph.op("Sub", rest, graph.gather(points, codes[-1]))
    return codes
