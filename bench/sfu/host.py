"""A host of its own: a network namespace with one address, from which and into which no other network leads.

WebRTC does not talk over loopback addresses, and an SFU has no business on this machine's real ones.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.load.processes import LoadError

__all__ = ["ADDRESS", "missing", "own_host"]

ADDRESS = "10.77.0.1"
_PREFIX = "captions-sfu"


def missing() -> str | None:
    """What it lacks here, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a network namespace needs root on Linux"
    return None if shutil.which("ip") else "no ip on this machine: apt-get install iproute2"


@contextmanager
def own_host() -> Iterator[list[str]]:
    """Arguments to put before a command that is to run there. The host and all on it end with the block.

    Raises:
        LoadError: it cannot be made; the message says why.
    """
    name = f"{_PREFIX}-{os.getpid()}"
    inside = ["ip", "netns", "exec", name]
    _run(["ip", "netns", "add", name])
    try:
        _run([*inside, "ip", "link", "set", "lo", "up"])
        _run([*inside, "ip", "link", "add", "sfu0", "type", "veth", "peer", "name", "sfu1"])
        _run([*inside, "ip", "addr", "add", f"{ADDRESS}/24", "dev", "sfu0"])
        _run([*inside, "ip", "link", "set", "sfu0", "up"])
        _run([*inside, "ip", "link", "set", "sfu1", "up"])
        yield inside
    finally:
        _run(["ip", "netns", "delete", name])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadError(f"{' '.join(command)}: {done.stderr.strip()}")
