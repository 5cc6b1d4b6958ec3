"""A few of the oracle's schedules; `python -m bench oracle --engine onnx` runs 200."""

from __future__ import annotations

from pathlib import Path

from bench.kyutai.oracle import Oracle, onnx_float32
from bench.kyutai.schedules import run


def test_every_token_in_a_busy_batch_is_that_of_moshis_own_loop(small_checkpoint: Path) -> None:
    oracle = Oracle(small_checkpoint, backend_of=onnx_float32)
    run(oracle, 4, start=7)
    assert oracle.tally.tokens > 500
    assert len(oracle.tally.kinds) > 5
