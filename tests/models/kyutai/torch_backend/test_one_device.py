"""The step and the reset at the 1B's shape, on tensors without values, of a device that is not the host.

Every operation must find its operands on that device, and nothing may come from the host or go to it: a capture on a
GPU would fail on the copy. Values cannot be read back, because there are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
import torch
from moshi.models import LMModel, loaders
from moshi.utils.compile import no_compile

from bench.kyutai.launches import NotCapturable, launches_of
from bench.kyutai.shapes import LM_1B, MIMI_1B
from captions.models.kyutai.torch_backend.attention import Attention, fused, products
from captions.models.kyutai.torch_backend.encoder import Encoder
from captions.models.kyutai.torch_backend.lm_step import LmStep

LANES = 64
ELSEWHERE = torch.device("meta")


@pytest.fixture(autouse=True)
def as_served() -> Iterator[None]:
    with torch.inference_mode(), no_compile():
        yield


@pytest.mark.parametrize("attention", [fused, products])
def test_the_language_model_asks_nothing_of_the_host(attention: Attention) -> None:
    lm = LmStep(LMModel(**LM_1B, device=ELSEWHERE, dtype=torch.bfloat16), LANES, attention)
    codes = torch.zeros(LANES, LM_1B["n_q"], dtype=torch.long, device=ELSEWHERE)
    active = torch.ones(LANES, dtype=torch.bool, device=ELSEWHERE)
    assert lm.windows == (96, 192, 384, 752)
    for window in lm.windows:
        counts = launches_of(partial(lm.step, codes, active, window), ELSEWHERE)
        assert counts["aten.index_put_"] == 2 * LM_1B["num_layers"], "keys and values, one write each"
    launches_of(lambda: lm.reset(active), ELSEWHERE)


def test_mimi_asks_nothing_of_the_host() -> None:
    encoder = Encoder(loaders.get_mimi(None, MIMI_1B, device=ELSEWHERE, num_codebooks=32), LANES)
    counts = launches_of(lambda: encoder.encode(torch.zeros(LANES, 1, 1920, device=ELSEWHERE)), ELSEWHERE)
    assert counts["aten.argmin"] == LM_1B["n_q"]
    launches_of(lambda: encoder.reset(encoder.active), ELSEWHERE)


def test_a_constant_made_on_the_host_is_refused() -> None:
    with pytest.raises(NotCapturable, match="touches cpu as well"):
        launches_of(lambda: torch.tensor([1.0, 2.0]).to(ELSEWHERE), ELSEWHERE)
