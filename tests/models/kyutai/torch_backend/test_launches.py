"""The step and the reset hold nothing that a CUDA graph could not: proven by looking at each of their operations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.kyutai.launches import NotCapturable, launches_of
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.torch_backend.backend import TorchBackend
from captions.models.kyutai.torch_backend.weights import Weights
from captions.types import FRAME_SAMPLES

LANES = 3


@pytest.fixture
def backend(small_checkpoint: Path) -> TorchBackend:
    checkpoint = Checkpoint.find(str(small_checkpoint))
    backend = TorchBackend(Weights.load(checkpoint, torch.device("cpu"), torch.float32), LANES)
    backend.warm_up()
    return backend


def test_a_step_holds_nothing_that_a_graph_could_not(backend: TorchBackend) -> None:
    frame = np.zeros((LANES, FRAME_SAMPLES), np.float32)
    counts = launches_of(lambda: backend.step(frame, np.array([True, False, True])))
    codebooks, layers = 6, 3
    assert counts["aten.argmin"] == codebooks
    assert counts["aten.index_put_"] == 2 * layers, "keys and values, one write each"


def test_a_step_asks_the_same_of_the_device_whoever_is_active(backend: TorchBackend) -> None:
    frame = np.zeros((LANES, FRAME_SAMPLES), np.float32)
    one = launches_of(lambda: backend.step(frame, np.array([True, False, False])))
    assert launches_of(lambda: backend.step(frame, np.ones(LANES, np.bool_))) == one


def test_what_a_step_keeps_stays_where_it_is(backend: TorchBackend) -> None:
    """A graph reads and writes at addresses; state that moved to a new tensor would be lost to it."""
    before = addresses(backend)
    backend.step(np.zeros((LANES, FRAME_SAMPLES), np.float32), np.ones(LANES, np.bool_))
    backend.reset([1])
    assert addresses(backend) == before


def addresses(backend: TorchBackend) -> list[int]:
    return [tensor.data_ptr() for tensor in backend.kept()]


@pytest.mark.parametrize(
    "function",
    [
        lambda: torch.ones(2).sum().item(),
        lambda: torch.ones(2).nonzero(),
        lambda: torch.ones(2)[torch.tensor([True, False])],
        lambda: bool(torch.ones(1) > 0),
    ],
)
def test_what_a_graph_could_not_hold_is_refused(function: Callable[[], object]) -> None:
    with pytest.raises(NotCapturable):
        launches_of(function)
