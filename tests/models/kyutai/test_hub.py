from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.hub import hub_answers, pull
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


@pytest.fixture
def listening() -> Iterator[str]:
    """The address of something that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """The address of a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    hub_answers.cache_clear()
    yield
    hub_answers.cache_clear()


def test_a_hub_that_takes_connections_answers(listening: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", listening)
    assert hub_answers()


def test_a_hub_that_refuses_connections_is_not_asked(
    closed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", closed)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert not hub_answers()
    with pytest.raises(ModelError, match="the model hub cannot be reached"):
        pull("kyutai/stt-2.6b-en")


@pytest.mark.parametrize(("bypassed", "answers"), [("", True), ("127.0.0.1", False)])
def test_behind_a_proxy_it_is_the_proxy_that_has_to_answer(
    bypassed: str, answers: bool, listening: str, closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", closed)
    monkeypatch.setenv("http_proxy", listening)
    monkeypatch.setenv("no_proxy", bypassed)
    assert hub_answers() == answers
