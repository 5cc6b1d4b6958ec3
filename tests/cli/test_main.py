"""The command line as a whole: what a pipe that is closed early makes of it."""

from __future__ import annotations

import subprocess
import sys


def test_who_has_read_enough_ends_a_command_without_an_error() -> None:
    command = [sys.executable, "-m", "captions", "completion", "bash"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    assert running.stderr.read() == ""
    assert running.wait() == 141
    running.stderr.close()
