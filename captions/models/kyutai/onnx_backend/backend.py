"""Kyutai's model run by onnxruntime: Mimi's encoder and the language model's step, for the lanes that have a frame."""

from __future__ import annotations

import time
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

TIMED_STEPS = 5


class OnnxBackend:
    """See `Backend` for the contract. `encoder` and `lm` are its two parts, for tests and measurements.

    `converted`: the file that `convert` wrote of `checkpoint` in `weights`. `threads`: for each step. `prefix_frames`:
    of silence, which are run once, here.
    """

    silence_is_free = False

    def __init__(
        self,
        checkpoint: Checkpoint,
        lanes: int,
        converted: Path,
        weights: str,
        threads: int,
        prefix_frames: int = 0,
    ) -> None:
        tensors = Tensors(converted)
        self.lanes, self.prefix_frames = lanes, prefix_frames
        self._weights, self._threads = weights, threads
        self.encoder = Encoder(checkpoint.mimi_config, tensors, checkpoint.config["n_q"], lanes, threads)
        self.lm = LmStep(checkpoint.config, tensors, KINDS[weights], lanes, threads)
        self._said = Said(np.zeros(lanes, np.int64), np.zeros((lanes, checkpoint.pause_heads), np.float32))
        self._hear_prefix()

    def warm_up(self) -> None:
        """Run a step of each number of lanes."""
        everyone = np.arange(self.lanes)
        for count in range(1, self.lanes + 1):
            self.reset(everyone.tolist())
            self.step(np.zeros((self.lanes, FRAME_SAMPLES), np.float32), everyone < count)

    @property
    def device(self) -> str:
        return f"the CPU, {self._weights}, {self._threads} {'thread' if self._threads == 1 else 'threads'}"

    def full_step_s(self) -> float:
        """The best of a few steps, because what else runs on the machine only ever adds to them."""
        everyone = np.ones(self.lanes, np.bool_)
        pcm = np.random.default_rng(1).normal(scale=0.1, size=(self.lanes, FRAME_SAMPLES)).astype(np.float32)
        self.reset(range(self.lanes))
        for lane in range(self.lanes):
            self.lm.rings.fill(lane, self.lm.rings.shape.context)
        taken = []
        for _ in range(TIMED_STEPS):
            began_at = time.perf_counter()
            self.step(pcm, everyone)
            taken.append(time.perf_counter() - began_at)
        return min(taken)

    def reset(self, lanes: Sequence[int]) -> None:
        self.encoder.reset(lanes)
        self.lm.reset(lanes)

    def step(self, pcm: Pcm, active: NDArray[np.bool_]) -> Said:
        lanes = np.flatnonzero(active)
        codes = self.encoder.encode(pcm[lanes], lanes)
        self._said.tokens[lanes], self._said.pauses[lanes] = self.lm.step(codes, lanes)
        return self._said

    def _hear_prefix(self) -> None:
        """Let one lane hear the prefix, and every reset from now on lead to where that leaves it."""
        self.reset([0])
        silence, first = np.zeros((self.lanes, FRAME_SAMPLES), np.float32), np.arange(self.lanes) == 0
        for _ in range(self.prefix_frames):
            self.step(silence, first)
        self.encoder.start_from(lane=0)
        self.lm.start_from(lane=0)

    def close(self) -> None:
        del self.encoder, self.lm
