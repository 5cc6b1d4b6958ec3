"""Whatever a lane was fed, the next track on it does not notice: every backend, by the oracle."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bench.kyutai.oracle import LANES, POISONS, Oracle, Schedule, Stream, onnx_float32
from captions.models.kyutai.torch_backend.attention import fused, products

BACKENDS: dict[str, Callable[[Path], Oracle]] = {
    "torch": partial(Oracle, attention=fused),
    "torch by products": partial(Oracle, attention=products),
    "onnx": partial(Oracle, backend_of=onnx_float32),
}


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
