"""One step of Kyutai's language model over all lanes, each at its own place in its own stream.

moshi's own streaming step writes the keys and values with `scatter_`, which in bfloat16 on a CPU copies the whole
cache, and it attends over the full context of every lane. This step runs the same weights, but it writes in place, and
it leaves out the part of the context that no lane has filled yet. There are two forms of it. `step_all` has fixed
shapes and reads nothing back from the device, so that CUDA can capture it. `step` leaves out the lanes that have no
frame, which suits a CPU. In float32 the tokens of both are moshi's.

The priming step (start tokens, no codes) gives the same for every lane. So it is run once, and a reset copies its keys,
values and token.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from moshi.models import LMModel
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

__all__ = ["LmStep"]

BUCKET = 64
"""On a CPU the window is rounded up to this many places: oneDNN builds a kernel for each new size it meets."""

WASTE = 1.25
"""On a CPU all lanes attend in one call, over the longest of their windows, if that reads at most this many times the
slots that their own windows have. Otherwise each attends in a call of its own.
"""


WINDOW_HALVINGS = 3
"""A step of fixed shapes attends over the whole context, its half, its quarter or its eighth. On a GPU each is a graph
of its own, and a step takes the smallest that all its lanes fit in.
"""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The lanes of a step. `index` [A]: their numbers; `stepped` [A]: whether the step counts for them.

    `positions` [A]: their place in the stream. `slots` [A]: where in the ring their keys go. `spans`: the lanes that
    attend in one call, as rows of the cache, as rows of the batch, and how many slots they look at.
    """

    index: Tensor
    stepped: Tensor | None
    slots: Tensor
    positions: Tensor
    spans: list[tuple[slice, slice, int]]


class LmStep:
    """The language model of `lanes` lanes. Call `reset` for a lane before its first step.

    `windows`: how many places of the context a step of fixed shapes can attend over, in rising order. The last is the
    whole context.
    """

    def __init__(self, lm: LMModel, lanes: int) -> None:
        self._lm = lm
        self._layers = list(lm.transformer.layers)
        self._lanes = lanes
        attention = self._layers[0].self_attn
        self._heads = attention.num_heads
        self._head_dim = lm.dim // self._heads
        self._context = lm.context
        device, dtype = lm.device, lm.dtype
        shape = (len(self._layers), 2, lanes, self._heads, self._context, self._head_dim)
        self._cache = torch.zeros(shape, dtype=dtype, device=device)
        self.windows = tuple(self._context >> halvings for halvings in range(WINDOW_HALVINGS, -1, -1))
        self._slot_numbers = torch.arange(self._context, device=device)
        self._offsets = torch.zeros(lanes, dtype=torch.long, device=device)
        self._offsets_host = np.zeros(lanes, np.int64)
        self._last_token = torch.zeros(lanes, dtype=torch.long, device=device)
        self._all = torch.arange(lanes, device=device)
        self._said = torch.zeros(lanes, 1 + len(lm.extra_heads), device=device)
        self._frequencies: Tensor | None = None
        if attention.rope is not None:
            halves = torch.arange(self._head_dim // 2, device=device, dtype=torch.float32)
            self._frequencies = torch.exp(halves * (-math.log(attention.rope.max_period) * 2 / self._head_dim))
        self._pause_weight = torch.cat([head.weight for head in lm.extra_heads]) if lm.extra_heads else None
        self._start_cache, self._start_token = self._prime()

    @property
    def cache_bytes(self) -> int:
        """The keys and values of all lanes."""
        size: int = self._cache.nbytes
        return size

    def kept(self) -> list[Tensor]:
        """All tensors that live from step to step."""
        return [self._cache, self._offsets, self._last_token]

    def reset(self, chosen: Tensor) -> None:
        """Bring the lanes where `chosen` [B] to where the priming step leaves them. Call `count_reset` with it."""
        first = self._cache[:, :, :, :, 0]
        first.copy_(torch.where(chosen[:, None, None], self._start_cache, first))
        self._offsets.masked_fill_(chosen, 1)
        self._last_token.copy_(torch.where(chosen, self._start_token, self._last_token))

    def count_reset(self, lanes: Sequence[int]) -> None:
        """The host's part of `reset`, which a captured graph does not run: how far each lane has come."""
        self._offsets_host[list(lanes)] = 1

    def fill_context(self, places: int | None = None) -> None:
        """Leave every lane as if it had heard `places` frames, by default the whole context; for measurements."""
        places = self._context if places is None else places
        with torch.inference_mode():
            self._offsets.fill_(places)
        self._offsets_host[:] = places

    def newest_keys(self, steps: int) -> Tensor:
        """The last layer's keys and values [2, B, H, steps, D] of the first `steps` frames since a reset."""
        return self._cache[-1, :, :, :, 1 : 1 + steps]

    def window(self, active: NDArray[np.bool_]) -> int:
        """The smallest of `windows` that holds what each lane where `active` [B] attends over in its next step."""
        longest = min(int(self._offsets_host[active].max()) + 1, self._context)
        smallest: int = next(window for window in self.windows if window >= longest)
        return smallest

    def step(self, codes: Tensor, active: NDArray[np.bool_]) -> Tensor:
        """One step of the lanes where `active` [B], the others left out.

        Args:
            codes: [B, K] of Mimi for this frame; rows of other lanes may hold anything that is a code.

        Returns:
            [B, 1 + H] float32: the token, then the probability of each pause head. Rows are valid until the next step,
            and for active lanes only.
        """
        lanes = np.flatnonzero(active)
        rows = self._rows(lanes)
        self._said[rows.index] = self._run(codes[rows.index], rows)
        self.count_step(active)
        return self._said

    def step_all(self, codes: Tensor, active: Tensor, window: int) -> Tensor:
        """As `step`, with fixed shapes: all lanes over `window` places. `active` [B] is on the model's device.

        A lane that is not active writes to the slot that its next step overwrites. Call `count_step` with it.
        """
        span = (slice(0, self._lanes), slice(0, self._lanes), window)
        rows = _Rows(self._all, active, self._offsets % self._context, self._offsets, [span])
        return self._run(codes, rows)

    def count_step(self, active: NDArray[np.bool_]) -> None:
        """The host's part of `step_all`, which a captured graph does not run."""
        self._offsets_host[active] += 1

    def _rows(self, lanes: NDArray[np.intp]) -> _Rows:
        """The lanes with a frame, grouped so that few empty slots are read."""
        positions = self._offsets_host[lanes]
        windows = np.minimum(-(-(positions + 1) // BUCKET) * BUCKET, self._context)
        longest = int(windows.max())
        if len(lanes) == self._lanes and longest * len(lanes) <= WASTE * windows.sum():
            spans = [(slice(0, self._lanes), slice(0, self._lanes), longest)]
        else:
            spans = [
                (slice(lane, lane + 1), slice(row, row + 1), window)
                for row, (lane, window) in enumerate(zip(lanes.tolist(), windows.tolist(), strict=True))
            ]
        index, places = torch.from_numpy(lanes), torch.from_numpy(positions)
        return _Rows(index, None, places % self._context, places, spans)

    def _run(self, codes: Tensor, rows: _Rows) -> Tensor:
        """The step itself: codes [A, K] in, [A, 1 + H] out; moves the rows' state on."""
        token, pauses = self._forward(codes, self._last_token[rows.index], rows)
        if rows.stepped is None:
            self._last_token[rows.index] = token
            self._offsets[rows.index] += 1
        else:
            self._last_token.copy_(torch.where(rows.stepped, token, self._last_token))
            self._offsets.add_(rows.stepped)
        return torch.cat([token[:, None].float(), pauses], dim=1)

    def _forward(self, codes: Tensor, text: Tensor, rows: _Rows) -> tuple[Tensor, Tensor]:
        """Token [A] and pause probabilities [A, H] for codes [A, K] and the token before [A]."""
        lm = self._lm
        x = functional.embedding(codes[:, 0], lm.emb[0].weight)
        for codebook in range(1, lm.n_q):
            x = x + functional.embedding(codes[:, codebook], lm.emb[codebook].weight)
        x = (x + functional.embedding(text, lm.text_emb.weight))[:, None]
        turn = self._turn(rows.positions)
        for number, layer in enumerate(self._layers):
            x = x + layer.layer_scale_1(self._attend(number, layer.self_attn, layer.norm1(x), turn, rows))
            x = layer._ff_block(x)
        x = lm.out_norm(x)[:, 0]
        token = lm.text_linear(x).float().argmax(-1)
        if self._pause_weight is None:
            return token, torch.empty(len(x), 0, device=x.device)
        heads = functional.linear(x, self._pause_weight).float().view(len(x), len(lm.extra_heads), -1)
        return token, torch.softmax(heads, -1)[..., 0]

    def _attend(
        self, number: int, attention: torch.nn.Module, x: Tensor, turn: tuple[Tensor, Tensor] | None, rows: _Rows
    ) -> Tensor:
        """Self-attention of x [A, 1, C] over each lane's ring, this step's keys and values included."""
        count = len(x)
        query, key, value = attention.in_projs[0](x).view(count, 3, self._heads, self._head_dim).unbind(1)
        if turn is not None:
            query, key = _rotate(query, turn), _rotate(key, turn)
        keys, values = self._cache[number]
        keys[rows.index, :, rows.slots] = key
        values[rows.index, :, rows.slots] = value
        mixed = torch.empty_like(query)
        for lanes, batch, window in rows.spans:
            # Keys times query rather than query times keys: oneDNN copies a strided right-hand side first.
            scores = torch.bmm(keys[lanes, :, :window].flatten(0, 1), query[batch].reshape(-1, self._head_dim, 1))
            scores = scores.float().mul_(self._head_dim**-0.5).view(-1, self._heads, 1, window)
            empty = self._slot_numbers[:window] > rows.positions[batch, None]
            weights = torch.softmax(scores.masked_fill_(empty[:, None, None], -math.inf), -1).to(x.dtype)
            product = torch.bmm(weights.view(-1, 1, window), values[lanes, :, :window].flatten(0, 1))
            mixed[batch] = product.view(-1, self._heads, self._head_dim)
        out: Tensor = attention.out_projs[0](mixed.view(count, 1, -1))
        return out

    def _turn(self, positions: Tensor) -> tuple[Tensor, Tensor] | None:
        """Cosine and sine of the rotary embedding, [A, 1, D / 2], for positions [A]."""
        if self._frequencies is None:
            return None
        angles = positions.float()[:, None, None] * self._frequencies
        return torch.cos(angles), torch.sin(angles)

    def _prime(self) -> tuple[Tensor, Tensor]:
        """Run the priming step on lane 0: its keys and values [layers, 2, 1, H, D], its token []."""
        start = torch.zeros(1, dtype=torch.long, device=self._all.device)
        rows = _Rows(start, None, start, start, [(slice(0, 1), slice(0, 1), 1)])
        codes = torch.full((1, self._lm.n_q), self._lm.initial_token_id, device=start.device)
        self._last_token.fill_(self._lm.text_initial_token_id)
        said = self._run(codes, rows)
        return self._cache[:, :, :1, :, 0].clone(), said[0, 0].long()


def _rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turn neighbouring pairs of x [A, H, D] by their angles, in float32."""
    cosine, sine = turn
    real, imaginary = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([real * cosine - imaginary * sine, real * sine + imaginary * cosine], -1)
    return turned.flatten(-2).to(x.dtype)
