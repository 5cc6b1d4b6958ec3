"""The oracle over every backend: a few of its schedules, and poison. `python -m bench oracle` runs 200 schedules.

All in one file, so that moshi's loop, which takes longest, is run once for all backends.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bench.kyutai.oracle import LANES, POISONS, Oracle, Schedule, Stream, onnx_float32
from bench.kyutai.schedules import run
from captions.models.kyutai.torch_backend.attention import Attention, fused, products

BACKENDS: dict[str, Callable[[Path], Oracle]] = {
    "torch": partial(Oracle, attention=fused),
    "torch by products": partial(Oracle, attention=products),
    "onnx": partial(Oracle, backend_of=onnx_float32),
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_token_in_a_busy_batch_is_that_of_moshis_own_loop(small_checkpoint: Path, backend: str) -> None:
    oracle = BACKENDS[backend](small_checkpoint)
    run(oracle, 4, start=7)
    assert oracle.tally.tokens > 500
    assert len(oracle.tally.kinds) > 5


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_next_track_on_a_poisoned_lane_gets_every_token_of_its_own(small_checkpoint: Path, backend: str) -> None:
    """Each poison on two lanes: in one it lasts for longer than the model remembers, in the other it does not."""
    oracle = BACKENDS[backend](small_checkpoint)
    lanes = [
        [Stream(0, 0, frames, flushed, 0, poison), Stream(number, 1, 30, True, 5 * number)]
        for poison in POISONS
        for number, (frames, flushed) in enumerate([(40, False), (3, True)])
    ]
    oracle.check(Schedule(lanes, [(1 << LANES) - 1]))
    assert oracle.tally.streams == LANES


@pytest.mark.gpu
@pytest.mark.parametrize("attention", [fused, products])
def test_the_same_on_a_gpu_with_graphs(small_checkpoint: Path, attention: Attention) -> None:
    run(Oracle(small_checkpoint, device="cuda", attention=attention), 40, start=7)
