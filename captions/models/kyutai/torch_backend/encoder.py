"""Mimi's encoder over all lanes, written so that the whole of it can be one CUDA graph.

moshi captures two parts of it and launches the rest, some 500 kernels a step, one by one. Its masks are captured on
their second change, which is in the middle of traffic. Here all states share one mask, and all state is kept in place.
"""

from __future__ import annotations

from typing import Any

import torch
from moshi.models import MimiModel
from moshi.utils.compile import no_cuda_graph
from torch import Tensor

__all__ = ["Encoder"]

LANE_DIMS = 4
"""A tensor of more dimensions has two of something, keys and values, before its lanes."""


class Encoder:
    """`mimi` over `lanes` lanes. `active` [B] says which lanes the next step counts for: write to it in place."""

    def __init__(self, mimi: MimiModel, lanes: int) -> None:
        self._mimi = mimi
        self._streaming = mimi.streaming(lanes)
        self._states: list[Any] = list(mimi.get_streaming_state().values())
        self._caches: list[Any] = [state.kv_cache for state in self._states if hasattr(state, "kv_cache")]
        self.active = torch.ones(lanes, dtype=torch.bool, device=self._states[0].device)
        for state in self._states:
            state.exec_mask = self.active
        self._start: list[tuple[Tensor, Tensor]] = []
        self.start_from_here()
        self._quantizer = [_Codebooks(part) for part in (mimi.quantizer.rvq_first, mimi.quantizer.rvq_rest)]

    @property
    def cache_bytes(self) -> int:
        """What all lanes keep: keys, values and the ends of convolutions."""
        return sum(tensor.nbytes for tensor in self.kept() if tensor.is_floating_point())

    def kept(self) -> list[Tensor]:
        """All tensors that live from step to step."""
        holders = [*self._states, *self._caches]
        return [value for holder in holders for value in vars(holder).values() if isinstance(value, Tensor)]

    def close(self) -> None:
        """Forget all lanes, so that `mimi` can be given to another."""
        self._streaming.close()

    def reset(self, chosen: Tensor) -> None:
        """Bring the lanes where `chosen` [B] to where `start_from_here` was called, which is at first the very start.

        Everything kept of them is replaced. moshi only masks what its caches held before, and what is no number comes
        through a mask: as a key, because the mask is added to its score, and as a value, because 0 times it is none.
        """
        for kept, start in self._start:
            torch.where(chosen.view(-1, *[1] * (min(kept.dim(), LANE_DIMS) - 1)), start, kept, out=kept)

    def start_from_here(self) -> None:
        """Let every later reset bring a lane to where the first one is now."""
        self._start = [
            (kept, (kept[:, :1] if kept.dim() > LANE_DIMS else kept[:1]).clone())
            for kept in self.kept()
            if kept is not self.active
        ]

    def encode(self, pcm: Tensor) -> Tensor:
        """Codes [B, K] of one frame [B, 1, 1920]; the state of lanes that are not active stays as it was."""
        # A replicating convolution replaces `first` by a new tensor. A graph would go on reading the old one.
        firsts = [(state, state.first) for state in self._states if hasattr(state, "first")]
        with no_cuda_graph():
            latent = self._mimi._encode_to_unquantized_latent(pcm)
        for state, first in firsts:
            if state.first is not first:
                first.copy_(state.first)
                state.first = first
        return torch.cat([part.nearest(latent) for part in self._quantizer], dim=1)


class _Codebooks:
    """The codebooks of one residual quantizer, each with half the squared norms of its points.

    The nearest point has the smallest |e|^2 / 2 - x e, so a codebook is one product, one argmin and one difference.
    """

    def __init__(self, part: torch.nn.Module) -> None:
        self._project = part.input_proj
        points = [layer._codebook.embedding for layer in part.vq.layers[: part.n_q]]
        self._books = [(book, book.t(), book.square().sum(1) / 2) for book in points]

    def nearest(self, latent: Tensor) -> Tensor:
        """Codes [B, K] of a latent [B, C, 1]."""
        rest = self._project(latent)[:, :, 0]
        codes = []
        for points, transposed, half_norms in self._books:
            code = torch.addmm(half_norms, rest, transposed, alpha=-1).argmin(1)
            rest = rest - torch.nn.functional.embedding(code, points)
            codes.append(code)
        return torch.stack(codes, 1)
