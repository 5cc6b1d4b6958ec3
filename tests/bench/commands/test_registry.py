"""The harness's command line: every command is there, and imports little until it is chosen."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.__main__ import COMMANDS, main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_takes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"usage: bench {name}" in capsys.readouterr().out


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in listed] == []


def test_choosing_a_command_does_not_import_what_others_need() -> None:
    lines = [
        "import sys",
        "from bench.__main__ import main",
        "try: main(['oracle', '--help'])",
        "except SystemExit: pass",
    ]
    lines.append("print([m for m in ('torch', 'moshi', 'playwright', 'pocketsphinx') if m in sys.modules])")
    check = "\n".join(lines)
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["latency", "accuracy", "compare --peer x --peer-protocol vosk", "capacity"])
def test_speech_of_ones_own_needs_its_words(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--audio", "talk.wav"]) == 1
    assert "--audio and --truth go together" in capsys.readouterr().err
