"""Silero's detector written anew as a few large matrix products, of the weights in its package.

Its own graph runs a convolution a track, each far too small to keep a processor busy, and asks at every run how it is
shaped. Here the frames of all tracks lie side by side, so that each layer is one product: the same probabilities to
rounding, for a third of the time. The layers, as in the package's graph:

    576 samples, 64 more by reflection -> four frames of 256 -> magnitudes of their spectra (129)
    -> four convolutions over three frames each: 128, 64, 64 and 128 channels, four frames, two, one and one
    -> one step of an LSTM (128) -> the probability
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["as_products"]

_OPSET = 15
_IR_VERSION = 9
_REFLECTED_SAMPLES = 64
_FRAMES = 4
_FRAME_SAMPLES, _FRAME_STEP = 256, 128
_BINS = 129
_STRIDES = (1, 2, 2, 1)
"""Of the four convolutions."""


def as_products(model: bytes) -> bytes:
    """The package's model as products.

    Inputs are `input` [B, 576] and `state` [2, B, 128], outputs `probability` [1, B, 1] and `next_state` [2, B, 128].
    """
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load_from_string(model).graph.initializer}
    graph = _Graph()
    value = _spectrum(graph, weights["model.stft.forward_basis_buffer"][:, 0])
    frames = _FRAMES
    for layer, stride in enumerate(_STRIDES):
        kernel, bias = (weights[f"model.encoder.{layer}.reparam_conv.{part}"] for part in ("weight", "bias"))
        value = _convolution(graph, value, frames, stride, kernel, bias)
        frames = (frames - 1) // stride + 1
    hidden = _lstm(graph, value, {part: weights[f"model.decoder.rnn.{part}"] for part in _LSTM_PARTS})
    spoken, bias = (weights[f"model.decoder.decoder.2.{part}"] for part in ("weight", "bias"))
    graph.op("Sigmoid", graph.linear(graph.op("Relu", hidden), spoken[:, :, 0], bias), to="probability")
    return graph.model()


class _Graph:
    """Operators being added; each call names what comes out of it."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def constant(self, values: Any) -> str:
        name = f"constant {len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def op(self, kind: str, *inputs: str, to: str | None = None, **attributes: Any) -> str:
        """An operator with one result."""
        name = to or f"value {len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def split(self, value: str, axis: int, *sizes: int) -> list[str]:
        names = [f"value {len(self._nodes)} {number}" for number in range(len(sizes))]
        self._nodes.append(helper.make_node("Split", [value, self.ints(*sizes)], names, axis=axis))
        return names

    def slice(self, value: str, axis: int, start: int, end: int, step: int = 1) -> str:
        return self.op("Slice", value, self.ints(start), self.ints(end), self.ints(axis), self.ints(step))

    def concat(self, values: Sequence[str], axis: int, to: str | None = None) -> str:
        return self.op("Concat", *values, axis=axis, to=to)

    def linear(self, value: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """[..., in] by `weight` [out, in], and `bias` [out]."""
        return self.op("Add", self.op("MatMul", value, self.constant(weight.T)), self.constant(bias))

    def model(self) -> bytes:
        goes_in = [_floats("input", "B", 576), _floats("state", 2, "B", 128)]
        goes_out = [_floats("probability", 1, "B", 1), _floats("next_state", 2, "B", 128)]
        graph = helper.make_graph(self._nodes, "detector", goes_in, goes_out, self._constants)
        opsets = [helper.make_opsetid("", _OPSET)]
        model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION).SerializeToString()
        return model


def _floats(name: str, *shape: int | str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _spectrum(graph: _Graph, basis: NDArray[np.float32]) -> str:
    """Magnitudes [4, B, 129]. `basis` [258, 256]: a window's cosines, then its sines."""
    padded = graph.op("Pad", "input", graph.ints(0, 0, 0, _REFLECTED_SAMPLES), mode="reflect")
    starts = range(0, _FRAMES * _FRAME_STEP, _FRAME_STEP)
    frames = [graph.slice(padded, 1, start, start + _FRAME_SAMPLES) for start in starts]
    side_by_side = graph.concat([graph.op("Unsqueeze", frame, graph.ints(0)) for frame in frames], 0)
    parts = graph.op("MatMul", side_by_side, graph.constant(basis.T))
    real, imaginary = graph.split(graph.op("Mul", parts, parts), 2, _BINS, _BINS)
    return graph.op("Sqrt", graph.op("Add", real, imaginary))


def _convolution(
    graph: _Graph, value: str, frames: int, stride: int, kernel: NDArray[np.float32], bias: NDArray[np.float32]
) -> str:
    """Over three frames of `value` [frames, B, in], with silence before and behind. `kernel` [out, in, 3]."""
    padded = graph.op("Pad", value, graph.ints(1, 0, 0, 1, 0, 0))
    windows = graph.concat([graph.slice(padded, 0, at, at + frames, stride) for at in range(3)], 2)
    flat = kernel.transpose(0, 2, 1).reshape(len(kernel), -1)
    return graph.op("Relu", graph.linear(windows, flat, bias))


_LSTM_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _lstm(graph: _Graph, value: str, weights: dict[str, NDArray[np.float32]]) -> str:
    """One step over `value` [1, B, 128] and `state`: the new hidden state [1, B, 128]; all of it goes out."""
    hidden, cell = graph.split("state", 0, 1, 1)
    weight = np.concatenate([weights["weight_ih"], weights["weight_hh"]], axis=1)
    gates = graph.linear(graph.concat([value, hidden], 2), weight, weights["bias_ih"] + weights["bias_hh"])
    taken, kept, new, shown = graph.split(gates, 2, 128, 128, 128, 128)
    kept = graph.op("Mul", graph.op("Sigmoid", kept), cell)
    taken = graph.op("Mul", graph.op("Sigmoid", taken), graph.op("Tanh", new))
    cell = graph.op("Add", kept, taken)
    hidden = graph.op("Mul", graph.op("Sigmoid", shown), graph.op("Tanh", cell))
    graph.concat([hidden, cell], 0, to="next_state")
    return hidden
