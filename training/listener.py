"""Mimi's encoder and the language model as one module that can be trained end to end.

Codes are discrete and pass no gradient, so until the last stage the language model is not given codes but the
quantised latent they stand for, through one linear map. As the latent is a sum of one centroid a codebook, the map of
each centroid is exactly that code's embedding: `embed_codes` writes them into the language model's tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from moshi.models import LMModel, MimiModel
from torch import Tensor, nn

from training.labels import PHONES

__all__ = ["Heard", "Listener"]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a listener makes of a batch. `text` [B, S, text_card], `pauses` [B, S, heads, classes], `phones`
    [B, S - 1, PHONES], all logits; `commitment` is the quantiser's loss, a scalar."""

    text: Tensor
    pauses: Tensor
    phones: Tensor
    commitment: Tensor


class Listener(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Teacher-forced over whole clips: step 0 primes, step n hears frame n - 1 and the token of step n - 1."""

    def __init__(self, mimi: MimiModel, lm: LMModel) -> None:
        super().__init__()
        self.mimi = mimi
        self.lm = lm
        self.bridge = nn.Linear(mimi.dimension, lm.dim, bias=False)
        self.phones = nn.Linear(mimi.dimension, PHONES)

    def hear(self, pcm: Tensor, tokens: Tensor, *, quantise: bool) -> Heard:
        """From audio [B, 1, frames * 1920] and the token before each step [B, frames + 1]."""
        emb = self.mimi._encode_to_unquantized_latent(pcm)
        with torch.autocast("cpu", enabled=False):
            latent, commitment = self._latent(emb.float(), quantise=quantise)
        start = torch.stack([table.weight[self.lm.initial_token_id] for table in self.lm.emb]).sum(0)
        audio = self.bridge(latent.transpose(1, 2))
        audio = torch.cat([start.expand(len(pcm), 1, -1), audio], dim=1)
        out = self.lm.out_norm(self.lm.transformer(audio + self.lm.text_emb(tokens)))
        return Heard(self.lm.text_linear(out), self._pauses(out), self.phones(emb.transpose(1, 2)), commitment)

    def read(self, codes: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Text and pause logits from codes [B, codebooks, frames] and the token before each step [B, frames + 1]."""
        start = torch.full_like(codes[:, :, :1], self.lm.initial_token_id)
        sequence = torch.cat([tokens[:, None], torch.cat([start, codes], dim=2)], dim=1)
        out, text = self.lm.forward_text(sequence)
        return text[:, 0], self._pauses(out)

    def embed_codes(self) -> None:
        """Gives each code the embedding that its centroid had through the bridge. Call it when Mimi is done."""
        quantizer = self.mimi.quantizer
        codebooks = [(quantizer.rvq_first, layer) for layer in quantizer.rvq_first.vq.layers]
        codebooks += [(quantizer.rvq_rest, layer) for layer in quantizer.rvq_rest.vq.layers]
        for table, (rvq, layer) in zip(self.lm.emb, codebooks, strict=True):
            latent = rvq.output_proj(layer.embedding.T[None])[0].T
            table.weight.data[: len(latent)] = self.bridge(latent).detach()

    def _latent(self, emb: Tensor, *, quantise: bool) -> tuple[Tensor, Tensor]:
        """The latent [B, dimension, frames] the codes stand for, or would if there were endlessly many."""
        quantizer: Any = self.mimi.quantizer
        if quantise:
            result = quantizer(emb, self.mimi.frame_rate)
            return result.x, result.penalty
        rvqs = (quantizer.rvq_first, quantizer.rvq_rest)
        return sum(rvq.output_proj(rvq.input_proj(emb)) for rvq in rvqs), emb.new_zeros(())

    def _pauses(self, out: Tensor) -> Tensor:
        return torch.stack([head(out) for head in self.lm.extra_heads], dim=2)
