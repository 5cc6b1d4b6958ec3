"""A port for a server that is told which one to take."""

from __future__ import annotations

import random
import socket

__all__ = ["free_port"]

_PORTS = range(10_000, 32_000)
"""Below those that the kernel gives to who connects: who tries one of them again and again until its server listens
is in the end connected to itself, and the server finds its port taken."""


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
