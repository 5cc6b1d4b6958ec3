"""One query a lane over the keys and values that it has heard, in two ways that give the same.

Both are plain products over fixed shapes, which a CUDA graph can hold. Which is faster on a GPU nobody has measured
yet: `python -m bench gpu` times both. Until then `ATTENTION`, here, is the one line that decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["ATTENTION", "Attention", "fused", "products"]

Attention: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Of query [B, H, 1, D], keys and values [B, H, W, D] and heard [B, 1, 1, W], which is true where a place counts."""


def fused(query: Tensor, keys: Tensor, values: Tensor, heard: Tensor) -> Tensor:
    """PyTorch's own kernel: one launch, and scores in float32 whatever the cache's type."""
    return functional.scaled_dot_product_attention(query, keys, values, heard)


def products(query: Tensor, keys: Tensor, values: Tensor, heard: Tensor) -> Tensor:
    """Two batched products and a softmax in float32 between them; the scores pass through the cache's type."""
    lanes, heads, window, size = keys.shape
    scores = torch.bmm(query.flatten(0, 1), keys.flatten(0, 1).transpose(1, 2)).float().mul_(size**-0.5)
    weights = torch.softmax(scores.view(lanes, heads, 1, window).masked_fill_(~heard, -math.inf), -1)
    mixed = torch.bmm(weights.to(values.dtype).view(-1, 1, window), values.flatten(0, 1))
    return mixed.view(lanes, heads, 1, size)


ATTENTION: Attention = fused
