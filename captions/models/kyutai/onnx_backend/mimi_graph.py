"""Mimi's encoder as a graph: a frame of each lane in, its codes out.

The arithmetic is moshi's (`SEANetEncoder`, `ProjectedTransformer`, `ConvDownsample1d`, `SplitResidualVectorQuantizer`).
Values lie place by place, [A, T, C], so that every convolution is one product of rows with its weights: onnxruntime's
own convolution of one dimension copies more, and is slow where places are few.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captions.models.kyutai.onnx_backend.attention import Attention
from captions.models.kyutai.onnx_backend.graph import Graph
from captions.models.kyutai.onnx_backend.rings import Shape
from captions.models.kyutai.onnx_backend.tensors import Planned, Tensors
from captions.types import FRAME_SAMPLES, FRAMES_PER_SECOND, SAMPLE_RATE

__all__ = ["Convolution", "attention_shape", "convolutions", "mimi_graph", "plan_mimi", "state_size"]

F32 = np.dtype(np.float32)
LEAST_USAGE = 1e-5
"""Of a point of a codebook, as moshi's `EuclideanCodebook` has it."""

NORM_EPSILON = 1e-5
BLOCK = 50
TRANSFORMER = "encoder_transformer.transformer.layers"


@dataclass(frozen=True, slots=True)
class Convolution:
    """A causal convolution of one dimension. `name` is that of its tensors in the checkpoint."""

    name: str
    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    bias: bool = True

    @property
    def remembers(self) -> int:
        """The places before a frame that it sees."""
        return (self.kernel - 1) * self.dilation + 1 - self.stride

    @property
    def state_size(self) -> int:
        return self.remembers * self.inputs


def convolutions(config: Mapping[str, Any]) -> list[Convolution]:
    """All of them in the order in which they are computed; the last brings the frames to the rate of the codes."""
    seanet = config["seanet"]
    wide = seanet["n_filters"]
    found = [Convolution(_seanet(0), seanet["channels"], wide, seanet["kernel_size"])]
    number = 1
    for ratio in reversed(seanet["ratios"]):
        for layer in range(seanet["n_residual_layers"]):
            narrow, block = wide // seanet["compress"], f"encoder.model.{number}.block"
            kernel, dilation = seanet["residual_kernel_size"], seanet["dilation_base"] ** layer
            found.append(Convolution(f"{block}.1.conv.conv", wide, narrow, kernel, dilation=dilation))
            found.append(Convolution(f"{block}.3.conv.conv", narrow, wide, 1))
            number += 1
        found.append(Convolution(_seanet(number + 1), wide, 2 * wide, 2 * ratio, ratio))
        number, wide = number + 2, 2 * wide
    dim = seanet["dimension"]
    found.append(Convolution(_seanet(number + 1), wide, dim, seanet["last_kernel_size"]))
    stride = _places(config)
    if stride > 1:
        found.append(Convolution("downsample.conv.conv.conv", dim, dim, 2 * stride, stride, bias=False))
    return found


def state_size(config: Mapping[str, Any]) -> int:
    """The values that all convolutions remember of one lane."""
    return sum(convolution.state_size for convolution in convolutions(config))


def attention_shape(config: Mapping[str, Any], lanes: int) -> Shape:
    """What Mimi's transformer keeps of each of `lanes` lanes."""
    transformer = config["transformer"]
    return Shape(
        lanes=lanes,
        layers=transformer["num_layers"],
        heads=transformer["num_heads"],
        dim=transformer["d_model"] // transformer["num_heads"],
        context=transformer["context"],
        places=_places(config),
        max_period=transformer["max_period"] if transformer["positional_embedding"] == "rope" else None,
        block=BLOCK,
    )


def plan_mimi(config: Mapping[str, Any], tensors: Tensors, codebooks: int) -> list[Planned]:
    """The converted tensors of the encoder, all float32, its first `codebooks` codebooks among them.

    Raises:
        KeyError, ValueError: the file is not what the config describes.
    """
    transformer, quantizer = config["transformer"], config["quantizer"]
    _check(config)
    planned: list[Planned] = []

    def add(target: str, source: str, stored: tuple[int, ...], *order: int, shape: tuple[int, ...] = ()) -> None:
        """`stored`: the shape in the file; `order`: of its axes here; `shape`: what they are joined to."""
        if tensors.shape(source) != stored:
            raise ValueError(f"{source} is {list(tensors.shape(source))}, not {list(stored)}")
        shape = shape or tuple(stored[axis] for axis in order)
        planned.append(
            Planned(f"mimi.{target}", F32, shape, lambda: tensors.float32(source).transpose(order).reshape(shape))
        )

    for conv in convolutions(config):
        stored = (conv.outputs, conv.inputs, conv.kernel)
        joined = (conv.kernel * conv.inputs, conv.outputs)
        add(f"{conv.name}.weight", f"{conv.name}.weight", stored, 2, 1, 0, shape=joined)
        if conv.bias:
            add(f"{conv.name}.bias", f"{conv.name}.bias", (conv.outputs,), 0)
    dim, wide = transformer["d_model"], transformer["dim_feedforward"]
    shapes = {"self_attn.in_projs.0": (3 * dim, dim), "self_attn.out_projs.0": (dim, dim)}
    shapes |= {"linear1": (wide, dim), "linear2": (dim, wide)}
    for number in range(transformer["num_layers"]):
        layer = f"{TRANSFORMER}.{number}"
        for name, product in shapes.items():
            source = f"{layer}.{name}.weight"
            old = source.replace("in_projs.0.weight", "in_proj_weight").replace("out_projs.0.", "out_proj.")
            add(source, source if source in tensors else old, product, 1, 0)
        for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"):
            add(f"{layer}.{name}", f"{layer}.{name}", (dim,), 0)
        if transformer["layer_scale"] is not None:
            for name in ("layer_scale_1.scale", "layer_scale_2.scale"):
                add(f"{layer}.{name}", f"{layer}.{name}", (dim,), 0)
    points = (quantizer["bins"], quantizer["dimension"])
    for part, first, count in _parts(codebooks):
        stored = (quantizer["dimension"], quantizer["input_dimension"], 1)
        add(f"{part}.input_proj", f"quantizer.{part}.input_proj.weight", stored, 1, 0, 2, shape=stored[1::-1])
        for number in range(count):
            book = f"quantizer.{part}.vq.layers.{number}._codebook"
            planned += _plan_codebook(tensors, book, points, first + number)
    return planned


def _plan_codebook(tensors: Tensors, book: str, shape: tuple[int, int], number: int) -> list[Planned]:
    """The points of a codebook, and each one's half squared norm."""
    old = {"embedding_sum": ("embed_sum", "embed_avg"), "cluster_usage": ("cluster_size",)}
    names = {}
    for new, olds in old.items():
        names[new] = next((name for name in (new, *olds) if f"{book}.{name}" in tensors), new)
    total, usage = f"{book}.{names['embedding_sum']}", f"{book}.{names['cluster_usage']}"
    if tensors.shape(total) != shape or tensors.shape(usage) != shape[:1]:
        raise ValueError(f"{book} is {list(tensors.shape(total))}, not {list(shape)}")

    def points() -> NDArray[np.float32]:
        found: NDArray[np.float32] = tensors.float32(total) / np.maximum(tensors.float32(usage), LEAST_USAGE)[:, None]
        return found

    def half_norms() -> NDArray[np.float32]:
        halves: NDArray[np.float32] = np.square(points()).sum(1) / 2
        return halves

    return [
        Planned(f"mimi.points.{number}", F32, shape, points),
        Planned(f"mimi.norms.{number}", F32, shape[:1], half_norms),
    ]


def mimi_graph(config: Mapping[str, Any], tensors: Tensors, codebooks: int, shape: Shape) -> bytes:
    """The encoder over the converted `tensors`.

    In: `pcm` [A, 1920], `state` [A, S] of the convolutions and `fresh` [A, 1, 1], whether it is a lane's first frame;
    besides what `Attention` wants. Out: `codes` [A, K], `next state` and `news`.
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
    dim, places = config["transformer"]["d_model"], _places(config)
    values = _transformer(graph, config["transformer"], attention, graph.reshape(values, -1, dim))
    values = graph.reshape(values, -1, places, dim)
    if places > 1:
        values = convolve(values, fresh)
    latent = graph.reshape(values, -1, dim)
    codes = [code for part in _parts(codebooks) for code in _nearest(graph, latent, *part)]
    graph.output("codes", graph.concat(codes, 1), np.int64, ["rows", codebooks])
    graph.output("next state", convolve.next_state(), np.float32, ["rows", state_size(config)])
    attention.finish()
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
    """The codes [A, 1] of each codebook of a part: the nearest point, and of what is left the nearest, and so on.

    The nearest has the smallest |e|^2 / 2 - x e.
    """
    rest = graph.matmul(latent, graph.weight(f"mimi.{part}.input_proj"))
    codes = []
    for number in range(first, first + count):
        points = graph.weight(f"mimi.points.{number}")
        near = graph.op("Gemm", rest, points, graph.weight(f"mimi.norms.{number}"), alpha=-1.0, transB=1)
        codes.append(graph.op("ArgMin", near, axis=1, keepdims=1))
        if number + 1 < first + count:
            rest = graph.op("Sub", rest, graph.reshape(graph.gather(points, codes[-1]), 0, -1))
    return codes


def _parts(codebooks: int) -> list[tuple[str, int, int]]:
    """The quantizer's two parts: name, first codebook, how many."""
    parts = [("rvq_first", 0, 1), ("rvq_rest", 1, codebooks - 1)]
    return [part for part in parts if part[2]]


def _places(config: Mapping[str, Any]) -> int:
    """The places a frame has in the transformer."""
    hop = int(np.prod(config["seanet"]["ratios"]))
    return round(SAMPLE_RATE / hop / FRAMES_PER_SECOND)


def _seanet(number: int) -> str:
    return f"encoder.model.{number}.conv.conv"


def _check(config: Mapping[str, Any]) -> None:
    """Refuse what the graph does not compute; Kyutai's Mimi has none of it.

    Raises:
        ValueError: it names the settings.
    """
    seanet, transformer = config["seanet"], config["transformer"]
    wants = {
        "sample_rate": config["sample_rate"] == SAMPLE_RATE,
        "frame_rate": config["frame_rate"] == FRAMES_PER_SECOND,
        "seanet.activation": seanet["activation"] == "ELU",
        "seanet.norm": seanet["norm"] == "none",
        "seanet.pad_mode": seanet["pad_mode"] == "constant",
        "seanet.true_skip": seanet["true_skip"],
        "transformer.gating": transformer["gating"] == "none",
        "transformer.norm": transformer["norm"] == "layer_norm",
        "transformer.positional_embedding": transformer["positional_embedding"] in {"rope", "none"},
        "transformer.input_dimension": transformer["input_dimension"] == transformer["d_model"],
        "transformer.output_dimensions": list(transformer["output_dimensions"]) == [transformer["d_model"]],
    }
    unknown = [setting for setting, runs in wants.items() if not runs]
    if unknown:
        raise ValueError(f"this version does not run Mimi's {', '.join(unknown)}")
