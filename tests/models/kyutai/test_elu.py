from __future__ import annotations

import torch
from torch import nn

from captions.models.kyutai.elu import QuickElu, quicken


def test_it_is_torchs_elu_to_within_rounding_near_zero_and_far() -> None:
    x = torch.cat([sign * torch.logspace(-30, 4, 100_000) for sign in (-1.0, 1.0)])
    expected = nn.functional.elu(x)
    assert float(((QuickElu()(x) - expected) / expected).abs().max()) < 5e-7


def test_zero_and_silence_stay_exactly_zero() -> None:
    assert QuickElu()(torch.zeros(5)).tolist() == [0.0] * 5


def test_every_elu_inside_is_replaced_and_no_other() -> None:
    net = nn.Sequential(nn.ELU(), nn.Sequential(nn.ReLU(), nn.ELU(alpha=0.5), nn.ELU()))
    quicken(net)
    kinds = [type(module) for module in net.modules() if not isinstance(module, nn.Sequential)]
    assert kinds == [QuickElu, nn.ReLU, nn.ELU, QuickElu]
