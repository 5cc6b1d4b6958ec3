"""A server's memory and processor time while something goes on, sampled from outside."""

from __future__ import annotations

import threading
import time

from bench.servers.own_server import OwnServer

__all__ = ["Vitals"]

_EVERY_S = 0.2


class Vitals:
    """Use as a context manager; then ask for what was between two moments of the monotonic clock."""

    def __init__(self, server: OwnServer) -> None:
        self._server = server
        self._samples: list[tuple[float, float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Vitals:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def memory_mb(self, begin_at: float, end_at: float) -> float:
        """The most it had."""
        return max((memory for at, memory, _ in self._samples if begin_at <= at <= end_at), default=0.0)

    def cpu(self, begin_at: float, end_at: float) -> float:
        """Processor seconds a second."""
        within = [(at, used) for at, _, used in self._samples if begin_at <= at <= end_at]
        if len(within) < 2:
            return 0.0
        (first_at, first), (last_at, last) = within[0], within[-1]
        return (last - first) / (last_at - first_at)

    def back_within_s(self, most_mb: float, since: float, patience_s: float) -> float | None:
        """How long after a moment its memory was back at so much and stayed there; None if it never was."""
        until = since + patience_s
        while self._server.resident_mb() > most_mb:
            if time.monotonic() > until:
                return None
            time.sleep(_EVERY_S)
        over = [at for at, memory, _ in self._samples if at >= since and memory > most_mb]
        return over[-1] - since + _EVERY_S if over else 0.0

    def _watch(self) -> None:
        while not self._over.wait(_EVERY_S):
            self._samples.append((time.monotonic(), self._server.resident_mb(), self._server.cpu_s()))
