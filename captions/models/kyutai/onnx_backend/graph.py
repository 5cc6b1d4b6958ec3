"""A graph of operators being built: each call adds one and names what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from captions.models.kyutai.onnx_backend.tensors import Tensors

__all__ = ["Graph"]

OPSET = 21
IR_VERSION = 10
CONTRIB = "com.microsoft"
"""onnxruntime's own operators."""


class Graph:
    """Operators over the weights in `tensors`, which stay in their file: the graph only says where each of them is.

    Values are named by strings. Call `input` and `weight` for what comes in, `op` for each operator, `output` for what
    goes out, and `model` at the end.
    """

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._nodes: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._initializers: dict[str, TensorProto] = {}
        self._count = 0

    def input(self, name: str, dtype: Any, shape: Sequence[int | str]) -> str:
        """What is given at each run; a string in `shape` names a size that may differ from run to run."""
        self._inputs.append(helper.make_tensor_value_info(name, _type(dtype), list(shape)))
        return name

    def output(self, name: str, value: str, dtype: Any, shape: Sequence[int | str]) -> None:
        """Let `value` go out as `name`."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, _type(dtype), list(shape)))

    def result(self, name: str, dtype: Any, shape: Sequence[int | str]) -> None:
        """Let what a node calls `name` go out as it is, without a copy."""
        self._outputs.append(helper.make_tensor_value_info(name, _type(dtype), list(shape)))

    def weight(self, name: str) -> str:
        """The tensor `name` of the file."""
        if name not in self._initializers:
            entry = self._tensors.entries[name]
            tensor = TensorProto(name=name, dims=entry.shape, data_type=_type(entry.dtype))
            tensor.data_location = TensorProto.EXTERNAL
            places = {"location": self._tensors.path.name, "offset": entry.offset, "length": entry.size}
            for key, value in places.items():
                tensor.external_data.add(key=key, value=str(value))
            self._initializers[name] = tensor
        return name

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of the tensor `name` of the file."""
        return self._tensors.shape(name)

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """A small value that is part of the graph itself."""
        array: NDArray[Any] = np.asarray(values, dtype)
        name = f"constant {array.dtype} {array.shape} {array.tobytes().hex()}"
        if name not in self._initializers:
            self._initializers[name] = numpy_helper.from_array(array, name)
        return name

    def ints(self, *values: int) -> str:
        """A constant list of int64, such as a shape or axes."""
        return self.constant(values, np.int64)

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add an operator with one result. An empty string stands for an input that is left out."""
        return self.ops(kind, 1, *inputs, domain=domain, **attributes)[0]

    def ops(self, kind: str, results: int, *inputs: str, domain: str = "", **attributes: Any) -> list[str]:
        """Add an operator with several results."""
        names = [f"{kind} {self._count} {number}" for number in range(results)]
        self._count += 1
        self.node(kind, inputs, names, domain, **attributes)
        return names

    def node(
        self, kind: str, inputs: Sequence[str], results: Sequence[str], domain: str = "", **attributes: Any
    ) -> None:
        """Add an operator whose results have names of the caller's."""
        self._nodes.append(helper.make_node(kind, list(inputs), list(results), domain=domain, **attributes))

    def contrib(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add one of onnxruntime's own operators with one result."""
        return self.op(kind, *inputs, domain=CONTRIB, **attributes)

    # What both graphs say often.

    def add(self, one: str, other: str) -> str:
        return self.op("Add", one, other)

    def mul(self, one: str, other: str) -> str:
        return self.op("Mul", one, other)

    def matmul(self, one: str, other: str) -> str:
        return self.op("MatMul", one, other)

    def reshape(self, value: str, *shape: int) -> str:
        """0 keeps a size, -1 takes what is left."""
        return self.op("Reshape", value, self.ints(*shape))

    def transpose(self, value: str, *order: int) -> str:
        return self.op("Transpose", value, perm=list(order))

    def concat(self, values: Sequence[str], axis: int) -> str:
        return values[0] if len(values) == 1 else self.op("Concat", *values, axis=axis)

    def slice(self, value: str, axis: int, start: int, end: int) -> str:
        return self.op("Slice", value, self.ints(start), self.ints(end), self.ints(axis))

    def split(self, value: str, axis: int, *sizes: int) -> list[str]:
        return self.ops("Split", len(sizes), value, self.ints(*sizes), axis=axis)

    def gather(self, value: str, index: str, axis: int = 0) -> str:
        return self.op("Gather", value, index, axis=axis)

    def model(self) -> bytes:
        """The whole graph, as onnxruntime loads it."""
        graph = helper.make_graph(self._nodes, "kyutai", self._inputs, self._outputs, list(self._initializers.values()))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()
        return model


def _type(dtype: Any) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
