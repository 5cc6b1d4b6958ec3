"""`captions serve`: starts, says what it is, and refuses what is wrong in one clear line."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from captions.__main__ import main
from tests.server.harness import PATIENCE_S


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Away from the repository's config.toml, without settings in the environment; the logging is put back."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CAPTIONS_")]:
        monkeypatch.delenv(name)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line a command fails with."""
    assert main(["serve", *arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    return line


def test_an_unknown_setting_in_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.toml").write_text("[server]\nprot = 80\n")
    line = failure(capsys)
    assert line.startswith("captions: ")
    assert "prot" in line


def test_a_wrong_setting_in_another_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.toml").write_text('[server]\nport = "many"\n')
    assert failure(capsys, "--config", "other.toml").startswith("captions: server.port: ")


def test_an_unknown_setting_in_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPTIONS_SERVER_PROT", "80")
    assert "prot" in failure(capsys)


def test_a_wrong_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert failure(capsys, "--port", "70000").startswith("captions: server.port: ")


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert failure(capsys, "--config", "missing.toml") == "captions: missing.toml: No such file or directory"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_host_others_can_reach_without_keys(capsys: pytest.CaptureFixture[str], host: str) -> None:
    line = failure(capsys, "--host", host)
    assert line.startswith(f"captions: server.host: {host} ")
    assert "keys.publish" in line


def test_a_model_whose_extra_is_not_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captions.models.load.find_spec", lambda name: None)
    monkeypatch.setenv("CAPTIONS_MODEL_DEVICE", "cuda")
    line = failure(capsys, "--model", "someone/stt")
    assert line == "captions: 'someone/stt' on a GPU needs the Kyutai extra: pip install 'captions[kyutai]'"


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = asyncio.run(served("--port", str(port), "--model", "moonshine"))
    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith("captions: ")
    assert str(port) in err.splitlines()[-1]
    assert "Traceback" not in err


async def served(*arguments: str) -> tuple[int, str, str]:
    """Run the server as its users do, stop it as soon as it is ready; its exit status and what it said."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "captions", "serve", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert server.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        first = await server.stdout.readline()
        if first:
            server.terminate()
        out, err = await server.communicate()
    assert server.returncode is not None
    return server.returncode, (first + out).decode(), err.decode()


async def test_it_says_where_it_listens_and_which_model_it_loaded() -> None:
    status, out, _ = await served("--port", "0", "--model", "moonshine", "--lanes", "3")
    assert status == 0
    first, page, model, *_ = out.splitlines()
    listens = re.fullmatch(r"Captions \S+ listens on ws://127\.0\.0\.1:(\d+)/v1/stream", first)
    assert listens is not None
    assert page == f"  page http://localhost:{listens[1]}/"
    assert model.strip() == "model moonshine-tiny-en, 3 lanes, knows English"
    assert "French" in out


async def test_it_says_what_the_model_runs_on_and_what_a_step_takes() -> None:
    status, out, _ = await served("--port", "0", "--model", "digits")
    assert status == 0
    model, runs_on = out.splitlines()[2:4]
    assert re.fullmatch(r"  model digits, [1-8] lanes, knows English", model)
    assert re.fullmatch(r"  on the CPU, float32, 1 thread; a step of all lanes takes \d+\.\d ms", runs_on)


def test_flags_beat_the_environment_and_that_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("config.toml").write_text('[model]\nname = "nothing-of-the-kind"\nlanes = 1\n[server]\nport = 0\n')
    monkeypatch.setenv("CAPTIONS_MODEL_NAME", "moonshine")
    monkeypatch.setenv("CAPTIONS_MODEL_LANES", "2")
    status, out, _ = asyncio.run(served("--lanes", "5"))
    assert status == 0
    assert "model moonshine-tiny-en, 5 lanes" in out
