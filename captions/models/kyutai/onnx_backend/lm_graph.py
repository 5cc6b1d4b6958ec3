"""The language model's step as a graph: codes and the last token in, the next token and the pause probabilities out.

The step is moshi's (`LMModel.forward_text`, `StreamingTransformerLayer`): one place for each lane that has a frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from captions.models.kyutai.onnx_backend.attention import Attention
from captions.models.kyutai.onnx_backend.graph import CONTRIB, Graph
from captions.models.kyutai.onnx_backend.products import Products
from captions.models.kyutai.onnx_backend.rings import Shape
from captions.models.kyutai.onnx_backend.tensors import Planned, Tensors

__all__ = ["attention_shape", "lm_graph", "plan_lm"]

F32, BF16 = np.dtype(np.float32), np.dtype(ml_dtypes.bfloat16)
EMBEDDING = "lm.embedding"
PRODUCTS = ("self_attn.in_projs.0", "self_attn.out_projs.0", "gating.linear_in", "gating.linear_out")
OLD_NAMES = {"in_projs.0.weight": "in_proj_weight", "out_projs.0.weight": "out_proj.weight"}
"""As an older moshi called them."""

EPSILON = {"rms_norm_f32": 1e-8, "rms_norm": 1e-5}


def attention_shape(config: Mapping[str, Any], lanes: int) -> Shape:
    """What the language model keeps of each of `lanes` lanes."""
    return Shape(
        lanes=lanes,
        layers=config["num_layers"],
        heads=config["num_heads"],
        dim=config["dim"] // config["num_heads"],
        context=config["context"],
        places=1,
        max_period=config.get("max_period", 10_000) if config["positional_embedding"] == "rope" else None,
    )


def plan_lm(config: Mapping[str, Any], tensors: Tensors, products: Products) -> list[Planned]:
    """The converted tensors of the language model in `tensors`.

    Raises:
        KeyError, ValueError: the file is not what the config describes.
    """
    dim, heads = config["dim"], config.get("extra_heads_num_heads", 0)
    planned: list[Planned] = []

    def take(source: str, shape: tuple[int, ...], target: str) -> None:
        found = _named(tensors, source, shape)
        planned.append(Planned(target, F32, (int(np.prod(shape)),), lambda: tensors.float32(found).reshape(-1)))

    def multiply(source: str, shape: tuple[int, int]) -> None:
        found = _named(tensors, source, shape)
        planned.extend(products.plan(f"lm.{source}", shape, lambda: tensors.float32(found)))

    hidden = _hidden(config)
    shapes = [(3 * dim, dim), (dim, dim), (2 * hidden, dim), (dim, hidden)]
    for number in range(config["num_layers"]):
        layer = f"transformer.layers.{number}"
        for name, shape in zip(PRODUCTS, shapes, strict=True):
            multiply(f"{layer}.{name}.weight", shape)
        for norm in ("norm1", "norm2"):
            take(f"{layer}.{norm}.alpha", (1, 1, dim), f"lm.{layer}.{norm}")
        if config.get("layer_scale") is not None:
            for scale in ("layer_scale_1", "layer_scale_2"):
                take(f"{layer}.{scale}.scale", (dim,), f"lm.{layer}.{scale}")
    take("out_norm.alpha", (1, 1, dim), "lm.out_norm")
    multiply("text_linear.weight", (config["text_card"], dim))
    if heads:
        size = config.get("extra_heads_dim", 6)
        parts = [_named(tensors, f"extra_heads.{head}.weight", (size, dim)) for head in range(heads)]
        shape = (dim, heads * size)
        planned.append(Planned("lm.pauses", F32, shape, lambda: np.concatenate([tensors.float32(p) for p in parts]).T))
    rows, tables = _embedding(config)
    for table, count in zip(tables, rows, strict=True):
        _named(tensors, table, (count, dim))
    whole = (sum(rows), dim)
    planned.append(Planned(EMBEDDING, BF16, whole, lambda: np.concatenate([tensors[t] for t in tables]).astype(BF16)))
    return planned


def lm_graph(config: Mapping[str, Any], tensors: Tensors, products: Products, shape: Shape) -> bytes:
    """The step over the converted `tensors`.

    In: `codes` [A, K] of each lane with a frame and `text` [A, 1], its last token; besides what `Attention` wants. Out:
    `token` [A] and `pauses` [A, H].
    """
    graph = Graph(tensors)
    codes = graph.input("codes", np.int64, ["rows", config["n_q"]])
    text = graph.input("text", np.int64, ["rows", 1])
    attention = Attention(graph, shape, "rows")
    firsts = np.concatenate([[0], np.cumsum(_embedding(config)[0])[:-1]])
    places = graph.add(graph.concat([codes, text], 1), graph.constant(firsts, np.int64))
    embedded = graph.op("Cast", graph.gather(graph.weight(EMBEDDING), places), to=1)
    total = graph.op("ReduceSum", embedded, graph.ints(1), keepdims=0)
    norm = _Norm(graph, EPSILON[config["norm"]])
    dim, hidden = config["dim"], _hidden(config)
    for number in range(config["num_layers"]):
        layer = f"lm.transformer.layers.{number}"
        in_proj, out_proj, linear_in, linear_out = (f"{layer}.{name}.weight" for name in PRODUCTS)
        normed = norm.first(total, f"{layer}.norm1") if number == 0 else norm.next(f"{layer}.norm1")
        mixed = attention.attend(products.product(graph, normed, in_proj, dim))
        norm.update(_scaled(graph, config, products.product(graph, mixed, out_proj, dim), f"{layer}.layer_scale_1"))
        wide = products.product(graph, norm.next(f"{layer}.norm2"), linear_in, dim)
        gate, value = graph.split(wide, 1, hidden, hidden)
        gated = graph.mul(graph.contrib("QuickGelu", gate, alpha=1.0), value)
        update = products.product(graph, gated, linear_out, hidden)
        norm.update(_scaled(graph, config, update, f"{layer}.layer_scale_2"))
    last = norm.next("lm.out_norm")
    logits = products.product(graph, last, "lm.text_linear.weight", dim)
    graph.output("token", graph.op("ArgMax", logits, axis=1, keepdims=0), np.int64, ["rows"])
    heads = config.get("extra_heads_num_heads", 0)
    if heads:
        values = graph.reshape(graph.matmul(last, graph.weight("lm.pauses")), 0, heads, -1)
        first = graph.gather(graph.op("Softmax", values, axis=-1), graph.constant(0, np.int64), axis=2)
        graph.output("pauses", first, np.float32, ["rows", heads])
    return graph.model()


class _Norm:
    """The stream of values through the layers, and their norms: an update is added on the way to the next norm."""

    def __init__(self, graph: Graph, epsilon: float) -> None:
        self._graph, self._epsilon = graph, epsilon
        self._stream = self._update = ""

    def first(self, stream: str, weight: str) -> str:
        self._stream = stream
        return self._graph.op(
            "SimplifiedLayerNormalization", stream, self._graph.weight(weight), axis=-1, epsilon=self._epsilon
        )

    def update(self, update: str) -> None:
        self._update = update

    def next(self, weight: str) -> str:
        normed, _, _, self._stream = self._graph.ops(
            "SkipSimplifiedLayerNormalization",
            4,
            self._stream,
            self._update,
            self._graph.weight(weight),
            domain=CONTRIB,
            epsilon=self._epsilon,
        )
        return normed


def _scaled(graph: Graph, config: Mapping[str, Any], update: str, name: str) -> str:
    return update if config.get("layer_scale") is None else graph.mul(update, graph.weight(name))


def _hidden(config: Mapping[str, Any]) -> int:
    """The width of a gated layer, as moshi's `ActivationGating` has it."""
    dim = int(config["dim"])
    forward = int(config.get("hidden_scale", 4) * dim)
    return 21 * dim // 8 if forward == 4 * dim else 2 * forward // 3


def _embedding(config: Mapping[str, Any]) -> tuple[list[int], list[str]]:
    """The rows of each table of the one embedding, and its name: the codebooks', then the text's."""
    codebooks = config["n_q"]
    rows = [config["card"] + 1] * codebooks + [config["text_card"] + 1]
    return rows, [f"emb.{number}.weight" for number in range(codebooks)] + ["text_emb.weight"]


def _named(tensors: Tensors, name: str, shape: tuple[int, ...]) -> str:
    """The name under which the file has the tensor, whose shape is checked."""
    if name not in tensors:
        for new, old in OLD_NAMES.items():
            if name.endswith(new) and name.replace(new, old) in tensors:
                name = name.replace(new, old)
    if tensors.shape(name) != shape:
        raise ValueError(f"{name} is {list(tensors.shape(name))}, not {list(shape)}")
    return name
