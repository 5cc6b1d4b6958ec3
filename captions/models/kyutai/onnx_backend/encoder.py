"""Mimi's encoder over all lanes: what its convolutions and its transformer remember of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captions.models.kyutai.onnx_backend.mimi_graph import attention_shape, mimi_graph
from captions.models.kyutai.onnx_backend.mimi_weights import state_size
from captions.models.kyutai.onnx_backend.program import Program
from captions.models.kyutai.onnx_backend.rings import Rings
from captions.models.kyutai.onnx_backend.tensors import Tensors
from captions.types import FRAME_SAMPLES, Pcm

__all__ = ["Encoder"]


class Encoder:
    """Call `reset` for a lane before its first frame, and `encode` for each step."""

    def __init__(self, config: Mapping[str, Any], tensors: Tensors, codebooks: int, lanes: int, threads: int) -> None:
        shape = attention_shape(config, lanes)
        self._program = Program(mimi_graph(config, tensors, codebooks, shape), tensors.path.parent, threads)
        self.rings = Rings(shape)
        self._state = np.zeros((lanes, state_size(config)), np.float32)
        self._start = np.zeros(state_size(config), np.float32)
        self._pcm = np.zeros((lanes, FRAME_SAMPLES), np.float32)
        self._states = np.zeros_like(self._state), np.zeros_like(self._state)
        self._fresh = np.zeros((lanes, 1, 1), np.bool_)
        self._codes = np.zeros((lanes, codebooks), np.int64)

    def reset(self, lanes: Sequence[int]) -> None:
        """Forget everything of `lanes`, but for what `start_from` has noted."""
        self._state[list(lanes)] = self._start
        self.rings.reset(lanes)

    def start_from(self, lane: int) -> None:
        """Let every later reset bring a lane to where `lane` is now."""
        self._start = self._state[lane].copy()
        self.rings.start_from(lane)

    def encode(self, pcm: Pcm, lanes: NDArray[np.intp]) -> NDArray[np.int64]:
        """Codes [A, K] of one frame [A, 1920] of each of `lanes`, in rising order; valid until the next call."""
        count, program = len(lanes), self._program
        state, next_state = self._states[0][:count], self._states[1][:count]
        self._pcm[:count] = pcm
        self._fresh[:count, 0, 0] = self.rings.heard[lanes] == 0
        np.take(self._state, lanes, 0, state)
        program.bind("pcm", self._pcm[:count])
        program.bind("state", state)
        program.bind("fresh", self._fresh[:count])
        program.bind("codes", self._codes[:count])
        program.bind("next state", next_state)
        self.rings.bind(program, lanes, count)
        program.run()
        self._state[lanes] = next_state
        self.rings.advance(lanes)
        return self._codes[:count]
