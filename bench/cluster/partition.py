"""A host of its own for Redis, with two links to it, of which one can be cut: a network namespace and veth pairs.

Whoever comes by the other link, and whoever talks to a node behind the cut one, notices nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.load.processes import LoadError

__all__ = ["Partition", "partition", "partition_missing"]

_NETWORK = "10.78"


class Partition:
    """`inside`: arguments to put before a command that is to run on that host. `addresses`: of it, by either link."""

    def __init__(self, name: str) -> None:
        self.inside = ["ip", "netns", "exec", name]
        self.addresses = [f"{_NETWORK}.{link}.1" for link in (1, 2)]

    def cut(self) -> None:
        """Nothing passes by the second link: what is sent is lost, and nobody is told."""
        _run([*self.inside, "ip", "link", "set", _there(2), "down"])

    def mend(self) -> None:
        _run([*self.inside, "ip", "link", "set", _there(2), "up"])


def partition_missing() -> str | None:
    """What it lacks here, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a network namespace needs root on Linux"
    return None if shutil.which("ip") else "no ip on this machine: apt-get install iproute2"


@contextmanager
def partition() -> Iterator[Partition]:
    """The host and its links end with the block, and so has to all that runs there. One at a time on a machine.

    Raises:
        LoadError: it cannot be made; the message says why.
    """
    name = "captions-redis"
    made = Partition(name)
    _run(["ip", "netns", "add", name])  # fails, and touches nothing, where another one is or was left
    try:
        _run([*made.inside, "ip", "link", "set", "lo", "up"])
        for link, address in enumerate(made.addresses, 1):
            here, there = _here(link), _there(link)
            _run(["ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", name])
            _run(["ip", "addr", "add", f"{_NETWORK}.{link}.2/30", "dev", here])
            _run(["ip", "link", "set", here, "up"])
            _run([*made.inside, "ip", "addr", "add", f"{address}/30", "dev", there])
            _run([*made.inside, "ip", "link", "set", there, "up"])
        yield made
    finally:
        _run(["ip", "netns", "delete", name])
        for link in (1, 2):  # what still runs there would keep them
            subprocess.run(["ip", "link", "delete", _here(link)], capture_output=True, check=False)


def _here(link: int) -> str:
    return f"captions{link}"


def _there(link: int) -> str:
    return f"link{link}"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadError(f"{' '.join(command)}: {done.stderr.strip()}")
