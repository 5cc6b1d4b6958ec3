"""One step of Kyutai's language model over all lanes, each at its own place in its own stream.

moshi's own streaming step attends over the full context of every lane, and copies its caches about. This step runs the
same weights. It has fixed shapes, writes in place and reads nothing back from the device, so that CUDA can capture it.
In float32 its tokens are moshi's.

The priming step (start tokens, no codes) gives the same for every lane. So it is run once, and a reset copies its keys,
values and token, or those of whatever was heard behind it.
"""

from __future__ import annotations

import math

import torch
from moshi.models import LMModel
from torch import Tensor
from torch.nn import functional

from captions.models.kyutai.memory import ALIGNED_PLACES, places_for
from captions.models.kyutai.torch_backend.attention import ATTENTION, Attention

__all__ = ["LmStep"]

WINDOW_HALVINGS = 3
"""A step attends over the whole context, its half, its quarter or its eighth. On a GPU each is a graph of its own, and
a step takes the smallest that all its lanes fit in.
"""

NEVER = 1 << 62
"""The number of a place that no lane ever reaches: those that only round the context up."""


class LmStep:
    """The language model of `lanes` lanes. Call `reset` for a lane before its first step.

    `context`: how many frames a lane remembers. `windows`: how many places of its ring a step can attend over, in
    rising order; the last is the whole ring.
    """

    def __init__(self, lm: LMModel, lanes: int, attention: Attention = ATTENTION) -> None:
        self._lm = lm
        self._layers = list(lm.transformer.layers)
        self._attention = attention
        first = self._layers[0].self_attn
        self._heads = first.num_heads
        self._head_dim = lm.dim // self._heads
        self.context: int = lm.context
        device, dtype = lm.device, lm.dtype
        places = places_for(self.context)
        self.windows = tuple(sorted({places_for(self.context >> halvings) for halvings in range(WINDOW_HALVINGS + 1)}))
        self._cache = torch.zeros(
            len(self._layers), 2, lanes, self._heads, places, self._head_dim, dtype=dtype, device=device
        )
        numbers = torch.arange(places, device=device)
        self._places = numbers.masked_fill(numbers >= self.context, NEVER)
        self._offsets = torch.zeros(lanes, dtype=torch.long, device=device)
        self._last_token = torch.zeros(lanes, dtype=torch.long, device=device)
        self._rows = torch.arange(lanes, device=device)
        self._frequencies: Tensor | None = None
        if first.rope is not None:
            halves = torch.arange(self._head_dim // 2, device=device, dtype=torch.float32)
            self._frequencies = torch.exp(halves * (-math.log(first.rope.max_period) * 2 / self._head_dim))
        self._pause_weight = torch.cat([head.weight for head in lm.extra_heads]) if lm.extra_heads else None
        self._prime()

    @property
    def cache_bytes(self) -> int:
        """The keys and values of all lanes."""
        size: int = self._cache.nbytes
        return size

    def kept(self) -> list[Tensor]:
        """All tensors that live from step to step."""
        return [self._cache, self._offsets, self._last_token]

    def reset(self, chosen: Tensor) -> None:
        """Bring the lanes where `chosen` [B] to where the priming step leaves them, or `start_from_here` was called."""
        first = self._cache[:, :, :, :, : self._start_cache.shape[4]]
        torch.where(chosen[:, None, None, None], self._start_cache, first, out=first)
        self._offsets.masked_fill_(chosen, self._start_offset)
        torch.where(chosen, self._start_token, self._last_token, out=self._last_token)

    def start_from_here(self, heard: int) -> None:
        """Let every later reset bring a lane to where the first one is now, which has `heard` frames behind it."""
        self._start_offset = heard
        self._start_cache = self._cache[:, :, :1, :, : min(self._start_offset, self.context)].clone()
        self._start_token = self._last_token[0].clone()

    def fill_context(self, frames: int) -> None:
        """Leave every lane as if it had heard `frames` frames of nothing; for measurements."""
        self._offsets.fill_(frames)

    def first_keys(self, steps: int) -> Tensor:
        """The last layer's keys and values [2, B, H, steps, D] of the first `steps` frames since a reset."""
        places = (self._start_offset + torch.arange(steps, device=self._rows.device)) % self.context
        return self._cache[-1, :, :, :, places]

    def step(self, codes: Tensor, active: Tensor, window: int) -> Tensor:
        """One step of the lanes where `active` [B]; the state of the others stays as it was.

        A lane that is not active writes to the place that its next step overwrites.

        Args:
            codes: [B, K] of Mimi for this frame; rows of other lanes may hold anything that is a code.
            window: one of `windows`, of at least as many places as an active lane has frames behind it, and one more.

        Returns:
            [B, 1 + H] float32: the token, then the probability of each pause head; for active lanes only.
        """
        token, pauses = self._forward(codes, window)
        self._last_token.copy_(torch.where(active, token, self._last_token))
        self._offsets.add_(active)
        return torch.cat([token[:, None].float(), pauses], dim=1)

    def _forward(self, codes: Tensor, window: int) -> tuple[Tensor, Tensor]:
        """Token [B] and pause probabilities [B, H] for codes [B, K] and the tokens before."""
        lm = self._lm
        x = functional.embedding(codes[:, 0], lm.emb[0].weight)
        for codebook in range(1, lm.n_q):
            x = x + functional.embedding(codes[:, codebook], lm.emb[codebook].weight)
        x = (x + functional.embedding(self._last_token, lm.text_emb.weight))[:, None]
        turn = self._turn()
        slots = self._offsets % self.context
        heard = (self._places[:window] <= self._offsets[:, None])[:, None, None]
        for number, layer in enumerate(self._layers):
            x = x + layer.layer_scale_1(self._attend(number, layer.norm1(x), turn, slots, heard))
            x = layer._ff_block(x)
        x = lm.out_norm(x)[:, 0]
        token = lm.text_linear(x).float().argmax(-1)
        if self._pause_weight is None:
            return token, torch.empty(len(x), 0, device=x.device)
        heads = functional.linear(x, self._pause_weight).float().view(len(x), len(lm.extra_heads), -1)
        return token, torch.softmax(heads, -1)[..., 0]

    def _attend(
        self, number: int, x: Tensor, turn: tuple[Tensor, Tensor] | None, slots: Tensor, heard: Tensor
    ) -> Tensor:
        """Self-attention of x [B, 1, C] over each lane's ring, this step's keys and values included."""
        attention, count, window = self._layers[number].self_attn, len(x), heard.shape[-1]
        # A mask does not help against what is no number, so that none may be kept: it would outlive a reset.
        projected = torch.nan_to_num(attention.in_projs[0](x), nan=0.0, posinf=0.0, neginf=0.0)
        query, key, value = projected.view(count, 3, self._heads, self._head_dim).unbind(1)
        if turn is not None:
            query, key = _rotate(query, turn), _rotate(key, turn)
        keys, values = self._cache[number]
        keys[self._rows, :, slots] = key
        values[self._rows, :, slots] = value
        mixed = self._attention(query[:, :, None], keys[:, :, :window], values[:, :, :window], heard)
        out: Tensor = attention.out_projs[0](mixed.reshape(count, 1, -1))
        return out

    def _turn(self) -> tuple[Tensor, Tensor] | None:
        """Cosine and sine of the rotary embedding, [B, 1, D / 2], for each lane's place in its stream."""
        if self._frequencies is None:
            return None
        angles = self._offsets.float()[:, None, None] * self._frequencies
        return torch.cos(angles), torch.sin(angles)

    def _prime(self) -> None:
        """Run the priming step on all lanes, to start from there."""
        codes = torch.full((len(self._rows), self._lm.n_q), self._lm.initial_token_id, device=self._rows.device)
        self._last_token.fill_(self._lm.text_initial_token_id)
        self._last_token.copy_(self._forward(codes, ALIGNED_PLACES)[0])
        self._offsets.fill_(1)
        self.start_from_here(1)


def _rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turn neighbouring pairs of x [B, H, D] by their angles, in float32."""
    cosine, sine = turn
    real, imaginary = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([real * cosine - imaginary * sine, real * sine + imaginary * cosine], -1)
    return turned.flatten(-2).to(x.dtype)
