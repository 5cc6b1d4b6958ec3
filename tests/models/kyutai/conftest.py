"""A small checkpoint in Kyutai's format, of random weights, written once for all tests here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.kyutai.shapes import LM_SMALL, MIMI_SMALL, write_random_checkpoint


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_checkpoint(tmp_path_factory.mktemp("kyutai") / "small", LM_SMALL, MIMI_SMALL)


@pytest.fixture
def folder(small_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint to break."""
    return Path(shutil.copytree(small_checkpoint, tmp_path / "broken"))


@pytest.fixture
def configure(folder: Path) -> Callable[..., None]:
    """Change settings in the config of `folder`."""

    def change(**settings: Any) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))

    return change


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small products gain nothing from a second core, and lose much where others use it."""
    torch.set_num_threads(1)
