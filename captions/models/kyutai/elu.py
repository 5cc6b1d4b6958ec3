"""ELU on a CPU. torch's own spends some 15 ns a value, which makes it the dearest part of Mimi's encoder there."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["QuickElu", "quicken"]

SERIES_ABOVE = -0.125
"""From here up to zero, exp(x) - 1 would cancel; five terms of the series are right to float32's last places."""


class QuickElu(nn.Module):
    """ELU with alpha 1 of a float32 tensor, to within rounding of torch's."""

    def forward(self, x: Tensor) -> Tensor:
        below = x.clamp(max=0.0)
        one = below.new_ones(())
        series = below.mul(1 / 5).add_(one)
        for term in (4, 3, 2):
            series = torch.addcmul(one, series, below, value=1 / term)
        series.mul_(below)
        whole = below.exp().sub_(one)
        return torch.maximum(x, torch.where(below > SERIES_ABOVE, series, whole))


def quicken(module: nn.Module) -> None:
    """Put `QuickElu` in place of every ELU with alpha 1 inside `module`."""
    for name, child in module.named_children():
        if isinstance(child, nn.ELU) and child.alpha == 1.0:
            setattr(module, name, QuickElu())
        else:
            quicken(child)
