"""Kyutai's model run by onnxruntime: Mimi's encoder and the language model's step, for the lanes that have a frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from captions.models.kyutai.backend import Said
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.onnx_backend.encoder import Encoder
from captions.models.kyutai.onnx_backend.lm_step import LmStep
from captions.models.kyutai.onnx_backend.products import KINDS
from captions.models.kyutai.onnx_backend.tensors import Tensors
from captions.types import FRAME_SAMPLES, Pcm

__all__ = ["OnnxBackend"]


class OnnxBackend:
    """See `Backend` for the contract. `encoder` and `lm` are its two parts, for tests and measurements.

    `converted`: the file that `convert` wrote of `checkpoint` in `weights`. `threads`: for each step.
    """

    silence_is_free = False

    def __init__(self, checkpoint: Checkpoint, lanes: int, converted: Path, weights: str, threads: int) -> None:
        tensors = Tensors(converted)
        self.lanes = lanes
        self.encoder = Encoder(checkpoint.mimi_config, tensors, checkpoint.config["n_q"], lanes, threads)
        self.lm = LmStep(checkpoint.config, tensors, KINDS[weights], lanes, threads)
        self._said = Said(np.zeros(lanes, np.int64), np.zeros((lanes, checkpoint.pause_heads), np.float32))

    def warm_up(self) -> None:
        """Run a step of each number of lanes."""
        everyone = np.arange(self.lanes)
        for count in range(1, self.lanes + 1):
            self.reset(everyone.tolist())
            self.step(np.zeros((self.lanes, FRAME_SAMPLES), np.float32), everyone < count)

    def reset(self, lanes: Sequence[int]) -> None:
        self.encoder.reset(lanes)
        self.lm.reset(lanes)

    def step(self, pcm: Pcm, active: NDArray[np.bool_]) -> Said:
        lanes = np.flatnonzero(active)
        codes = self.encoder.encode(pcm[lanes], lanes)
        self._said.tokens[lanes], self._said.pauses[lanes] = self.lm.step(codes, lanes)
        return self._said

    def close(self) -> None:
        del self.encoder, self.lm
