"""What Mimi's encoder consists of, and its weights as the graph reads them.

The names and shapes are moshi's (`SEANetEncoder`, `ProjectedTransformer`, `ConvDownsample1d`, `EuclideanCodebook`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captions.models.kyutai.onnx_backend.tensors import Planned, Tensors
from captions.types import FRAMES_PER_SECOND, SAMPLE_RATE

__all__ = ["TRANSFORMER", "Convolution", "convolutions", "parts_of", "places_of", "plan_mimi", "state_size"]

F32 = np.dtype(np.float32)
LEAST_USAGE = 1e-5
"""Of a point of a codebook, as moshi's `EuclideanCodebook` has it."""

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
    stride = places_of(config)
    if stride > 1:
        found.append(Convolution("downsample.conv.conv.conv", dim, dim, 2 * stride, stride, bias=False))
    return found


def state_size(config: Mapping[str, Any]) -> int:
    """The values that all convolutions remember of one lane."""
    return sum(convolution.state_size for convolution in convolutions(config))


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
    for part, first, count in parts_of(codebooks):
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


def parts_of(codebooks: int) -> list[tuple[str, int, int]]:
    """The quantizer's two parts: name, first codebook, how many."""
    parts = [("rvq_first", 0, 1), ("rvq_rest", 1, codebooks - 1)]
    return [part for part in parts if part[2]]


def places_of(config: Mapping[str, Any]) -> int:
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
