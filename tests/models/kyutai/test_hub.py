from __future__ import annotations

from pathlib import Path

import pytest

from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.hub import pull
from captions.models.model import ModelError


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def test_no_network(no_network: None) -> None:
    with pytest.raises(ModelError, match=r"kyutai/stt-1b-en_fr-candle is not on this machine and .* cannot be reached"):
        Checkpoint.find("kyutai/stt-1b-en_fr-candle")
    with pytest.raises(ModelError, match="captions models pull kyutai/stt-2"):
        pull("kyutai/stt-2.6b-en")


def test_a_name_that_cannot_be_one(no_network: None) -> None:
    with pytest.raises(ModelError, match="there is no folder 'a/b/c', and it cannot be a name on the model hub"):
        Checkpoint.find("a/b/c")
