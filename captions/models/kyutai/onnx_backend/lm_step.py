"""The language model's step over all lanes, each at its own place in its own stream.

Rows go through the graph in pairs: onnxruntime adds a row without a partner up in another order than the rest, so what
a lane says would depend on the others, if only in the last bit. What fills up a pair is never looked at.

The priming step (start tokens, no codes) gives the same for every lane. So it is run once, and a reset copies its keys,
values and token, or those of whatever was heard behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captions.models.kyutai.onnx_backend.lm_graph import attention_shape, lm_graph
from captions.models.kyutai.onnx_backend.products import Products
from captions.models.kyutai.onnx_backend.program import Program
from captions.models.kyutai.onnx_backend.rings import Rings
from captions.models.kyutai.onnx_backend.tensors import Tensors

__all__ = ["LmStep"]


class LmStep:
    """The language model of `lanes` lanes. Call `reset` for a lane before its first step."""

    def __init__(
        self, config: Mapping[str, Any], tensors: Tensors, products: Products, lanes: int, threads: int
    ) -> None:
        shape = attention_shape(config, lanes)
        model = lm_graph(config, tensors, products, shape)
        self._program = Program(model, tensors.path.parent, threads)
        self.rings = Rings(shape)
        heads = config.get("extra_heads_num_heads", 0)
        rows = lanes + lanes % 2
        self._codes = np.zeros((rows, config["n_q"]), np.int64)
        self._text = np.zeros((rows, 1), np.int64)
        self._last_token = np.zeros(lanes, np.int64)
        self._token = np.zeros(rows, np.int64)
        self._pauses = np.zeros((rows, heads), np.float32)
        self._last_token[:] = config["text_card"]
        start = np.full((1, config["n_q"]), config["card"], np.int64)
        self.step(start, np.zeros(1, np.intp))
        self.start_from(lane=0)

    def reset(self, lanes: Sequence[int]) -> None:
        """Bring `lanes` to where the priming step leaves them, or where `start_from` has noted."""
        self.rings.reset(lanes)
        self._last_token[list(lanes)] = self._start_token

    def start_from(self, lane: int) -> None:
        """Let every later reset bring a lane to where `lane` is now."""
        self._start_token = int(self._last_token[lane])
        self.rings.start_from(lane)

    def step(self, codes: NDArray[np.int64], lanes: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Token [A] and pause probabilities [A, H] for codes [A, K] of `lanes`, in rising order.

        Both are valid until the next call.
        """
        count, program = len(lanes), self._program
        rows = count + count % 2
        self._codes[:count] = codes
        np.take(self._last_token, lanes, 0, self._text[:count, 0])
        program.bind("codes", self._codes[:rows])
        program.bind("text", self._text[:rows])
        program.bind("token", self._token[:rows])
        if self._pauses.shape[1]:
            program.bind("pauses", self._pauses[:rows])
        self.rings.bind(program, lanes, rows)
        program.run()
        self._last_token[lanes] = self._token[:count]
        self.rings.advance(lanes)
        return self._token[:count], self._pauses[:count]
