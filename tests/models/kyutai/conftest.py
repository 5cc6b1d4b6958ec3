"""A small checkpoint in Kyutai's format, of random weights, written once for all tests here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.kyutai_shapes import LM_SMALL, MIMI_SMALL, write_random_checkpoint


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_checkpoint(tmp_path_factory.mktemp("kyutai") / "small", LM_SMALL, MIMI_SMALL)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small products gain nothing from a second core, and lose much where others use it."""
    torch.set_num_threads(1)
