"""moshi's own single-stream loop, what the oracle goes by. It remembers what it said of a stream: engines share it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from moshi.models import LMGen
from moshi.utils.compile import no_compile, no_cuda_graph

from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.torch_backend.loading import load_lm, load_mimi
from captions.types import FRAME_SAMPLES, Pcm

__all__ = ["MoshisLoop", "moshis_loop"]


class MoshisLoop:
    """The loop over a checkpoint in float32. Call `tokens` for each stream."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        self._device = device
        self._prefix = [np.zeros(FRAME_SAMPLES, np.float32)] * checkpoint.prefix_frames
        self._mimi = load_mimi(checkpoint, device)
        self._lm = load_lm(checkpoint, device, torch.float32)
        self._said: dict[Hashable, tuple[list[int], list[list[float]]]] = {}

    def tokens(self, stream: Hashable, frames: Sequence[Pcm]) -> tuple[list[int], list[list[float]]]:
        """Token and pause probabilities of each of `frames` of `stream`, with the checkpoint's prefix before them."""
        if stream not in self._said:
            tokens, pauses = self._run([*self._prefix, *frames])
            self._said[stream] = tokens[len(self._prefix) :], pauses[len(self._prefix) :]
        return self._said[stream]

    def _run(self, frames: Sequence[Pcm]) -> tuple[list[int], list[list[float]]]:
        """As moshi's own command-line transcription runs it: the first frame is given to the model twice."""
        generator = LMGen(self._lm, use_sampling=False, temp=0.0, temp_text=0.0)
        tokens: list[int] = []
        pauses: list[list[float]] = []
        # Without moshi's own graphs: it would capture them anew for each stream.
        with torch.no_grad(), no_compile(), no_cuda_graph(), self._mimi.streaming(1), generator.streaming(1):
            for frame in frames:
                codes = self._mimi.encode(torch.from_numpy(frame).to(self._device)[None, None])
                if not tokens:
                    generator.step(codes)
                said, heads = generator.step_with_extra_heads(codes)
                tokens.append(int(said[0, 0, 0]))
                pauses.append([float(head[0, 0, 0]) for head in heads])
        return tokens, pauses


@cache
def moshis_loop(folder: Path, device: str = "cpu") -> MoshisLoop:
    """The loop over the checkpoint in `folder`, one in this process."""
    return MoshisLoop(Checkpoint.find(str(folder)), torch.device(device))
