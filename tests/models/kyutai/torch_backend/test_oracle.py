"""A few of the oracle's schedules; `python -m bench oracle` runs 200."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.kyutai.oracle import Oracle, run

SCHEDULES = 3


def test_every_token_in_a_busy_batch_is_that_of_moshis_own_loop(small_checkpoint: Path) -> None:
    oracle = Oracle(small_checkpoint)
    run(oracle, SCHEDULES, start=7)
    assert oracle.tally.tokens > 500
    assert len(oracle.tally.kinds) > 5


def test_the_same_with_the_fixed_shapes_that_a_cuda_graph_needs(small_checkpoint: Path) -> None:
    oracle = Oracle(small_checkpoint, fixed_shapes=True)
    run(oracle, 3, start=8)
    assert oracle.tally.tokens > 200


@pytest.mark.gpu
def test_the_same_on_a_gpu_with_graphs(small_checkpoint: Path) -> None:
    run(Oracle(small_checkpoint, device="cuda"), 40, start=7)
