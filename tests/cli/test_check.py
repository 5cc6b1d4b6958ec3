"""`captions check`: one line for each thing that may be wrong; `captions completion`."""

from __future__ import annotations

import os
import re
import resource
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from captions.__main__ import main
from captions.cli.check import Finding, findings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CAPTIONS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CAPTIONS_SERVER_PORT", "0")


def found(settings: str = "") -> dict[str, Finding]:
    path = Path("config.toml")
    path.write_text(settings)
    return {finding.what: finding for finding in findings(path)}


def test_where_all_is_well_each_thing_has_its_line_and_the_status_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.toml").write_text('[model]\nname = "moonshine"\n[limits]\nconnections = 100\n')
    assert main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"^ *(ok|note) ", "", line).partition(":")[0] for line in lines] == [
        "configuration",
        "address",
        "open files",
        "keys",
        "tokens",
        "web pages",
        "hearing",
        "GPU",
        "model",
        "Redis",
    ]
    assert all(line.startswith(("  ok ", "note ")) for line in lines)


def test_a_wrong_configuration_is_all_there_is_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.toml").write_text("[server]\nprot = 80\n")
    assert main(["check"]) == 1
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(" bad configuration: ")
    assert "prot" in line


def test_a_port_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("CAPTIONS_SERVER_PORT", str(port))
        assert found()["address"] == Finding("address", "bad", f"127.0.0.1:{port}: Address already in use")


def test_fewer_files_than_connections() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    finding = found(f"[limits]\nconnections = {most}\n")["open files"]
    assert (finding.verdict, finding.text) == (
        "bad",
        f"ulimit -n is {most}; limits.connections wants {most + 200}",
    )


@pytest.mark.parametrize(
    ("settings", "verdict", "text"),
    [
        ("", "note", "none: everybody on this machine may do everything"),
        ('[keys]\npublish = ["short"]\n', "note", "1 of 1 are under 16 characters, and may be guessed"),
        ('[keys]\npublish = ["long enough to keep"]\n', "ok", "1 may publish, 0 may watch"),
    ],
)
def test_keys(settings: str, verdict: str, text: str) -> None:
    assert found(settings)["keys"] == Finding("keys", verdict, text)  # type: ignore[arg-type]


def test_a_public_key_that_cannot_be_read() -> None:
    finding = found('[tokens]\nissuers = [{issuer = "https://meet.example.org", public_key_file = "none.pem"}]\n')[
        "tokens"
    ]
    assert finding.verdict == "bad"
    assert "none.pem" in finding.text


def test_a_model_that_is_not_there_and_a_redis_that_does_not_answer() -> None:
    Path("empty").mkdir()
    said = found('[model]\nname = "empty"\n[cluster]\nredis = "redis://127.0.0.1:1"\n')
    assert said["model"] == Finding("model", "bad", "empty holds no config.json: it is not a checkpoint's folder")
    assert said["Redis"].verdict == "bad"


def test_the_digits_model_is_whole() -> None:
    assert found('[model]\nname = "digits"\n')["model"].verdict == "ok"


def test_a_shell_completes_our_commands(capsys: pytest.CaptureFixture[str]) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    function = "$(complete -p captions | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
    asked = f"COMP_WORDS=(captions wa); COMP_CWORD=1; {function} captions wa; echo ${{COMPREPLY[@]}}"
    done = subprocess.run([bash, "-c", f"{script}\n{asked}"], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["watch"]
