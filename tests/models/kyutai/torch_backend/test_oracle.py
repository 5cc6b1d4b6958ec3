"""A few of the oracle's schedules; `python -m bench oracle` runs 200."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.kyutai.oracle import Oracle
from bench.kyutai.schedules import run
from captions.models.kyutai.torch_backend.attention import Attention, fused, products

SCHEDULES = 4


@pytest.mark.parametrize("attention", [fused, products])
def test_every_token_in_a_busy_batch_is_that_of_moshis_own_loop(small_checkpoint: Path, attention: Attention) -> None:
    oracle = Oracle(small_checkpoint, attention=attention)
    run(oracle, SCHEDULES, start=7)
    assert oracle.tally.tokens > 500
    assert len(oracle.tally.kinds) > 5


@pytest.mark.gpu
@pytest.mark.parametrize("attention", [fused, products])
def test_the_same_on_a_gpu_with_graphs(small_checkpoint: Path, attention: Attention) -> None:
    run(Oracle(small_checkpoint, device="cuda", attention=attention), 40, start=7)
