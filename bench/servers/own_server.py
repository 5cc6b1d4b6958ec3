"""Servers the harness starts for itself: ours, which can be asked how it is, and any peer by its command."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from prometheus_client.parser import text_string_to_metric_families

from bench.load.processes import LoadError
from bench.measure import process

__all__ = ["OwnServer", "PeerServer", "own_server", "peer_server"]

_STOP_S = 20.0


class PeerServer:
    """A server in a process of its own; `cpu_s` and `resident_mb` are those of it and its children."""

    def __init__(self, url: str, child: subprocess.Popen[str]) -> None:
        self.url = url
        self._child = child

    @property
    def pid(self) -> int:
        return self._child.pid

    def cpu_s(self) -> float:
        return process.cpu_s(self.pid)

    def resident_mb(self) -> float:
        return process.resident_mb(self.pid)


class OwnServer(PeerServer):
    """Ours. `model` is what it says it runs."""

    def __init__(self, url: str, child: subprocess.Popen[str], model: str, complaints: IO[bytes]) -> None:
        super().__init__(url, child)
        self.model = model
        self._complaints = complaints

    def metric(self, name: str, **labels: str) -> float:
        """What it tells Prometheus; 0 of what it has not counted yet."""
        with urllib.request.urlopen(self.url.replace("ws://", "http://", 1) + "/metrics", timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        samples = (sample for family in families for sample in family.samples)
        return next((s.value for s in samples if s.name == name and s.labels == labels), 0.0)

    def fullest(self) -> tuple[float, str]:
        """How full it is of what it has least of left, 0 to 1, and what that is."""
        with urllib.request.urlopen(self.url.replace("ws://", "http://", 1) + "/metrics", timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        samples = [sample for family in families for sample in family.samples]
        used = ((s.value, s.labels["limit"]) for s in samples if s.name == "captions_limit_used")
        return max(used, default=(0.0, ""))

    def kill_model(self) -> None:
        """Kill the process that has the model, of a server with fronts."""
        with open(f"/proc/self/fd/{self._complaints.fileno()}", encoding="utf-8") as log:
            started = [said for line in log if (said := json.loads(line)).get("event") == "started"]
        os.kill(next(said["pid"] for said in reversed(started) if said["part"] == "model"), signal.SIGKILL)

    def log_bytes(self) -> int:
        """How much it has logged so far."""
        return os.fstat(self._complaints.fileno()).st_size

    def health(self) -> dict[str, float]:
        """Tasks, threads, files, resident_mb and objects, after a collection of garbage."""
        assert self._child.stdin is not None
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        return {name: float(value) for name, value in _line(self._child, self._complaints).items()}


@contextmanager
def own_server(
    model: str = "auto",
    lanes: int = 0,
    step_ms: float = 27.0,
    core: int | None = None,
    *,
    urgent: bool = False,
    settings: Mapping[str, Mapping[str, object]] | None = None,
) -> Iterator[OwnServer]:
    """A captions server on a free port; `model` as `captions serve` takes it, or "speaking" (see speaking_model).

    `urgent`: it runs before other processes, so that a busy machine does not slow it down. `settings`: by section, as
    in config.toml.

    Raises:
        LoadError: it did not start; its last line says why.
    """
    command = [sys.executable, "-m", "bench.servers.server_process", "--model", model, "--lanes", str(lanes)]
    command += ["--step-ms", str(step_ms), *(["--core", str(core)] if core is not None else [])]
    command += ["--urgent"] if urgent else []
    command += ["--settings", json.dumps(settings)] if settings else []
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=complaints, text=True) as child,
    ):
        try:
            ready = _line(child, complaints)
            yield OwnServer(ready["url"], child, ready["model"], complaints)
        finally:
            assert child.stdin is not None
            child.stdin.close()
            _stop(child)


@contextmanager
def peer_server(
    command: str,
    port: int,
    scheme_host: str = "ws://127.0.0.1",
    within_s: float = 180.0,
) -> Iterator[PeerServer]:
    """Any other server: `command` is run without a shell, and it is up once `port` takes connections.

    Raises:
        LoadError: it ended, or was not up in time.
    """
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            shlex.split(command),
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            text=True,
        ) as child,
    ):
        try:
            _wait_for_port(child, port, within_s, complaints)
            yield PeerServer(f"{scheme_host}:{port}", child)
        finally:
            child.terminate()
            _stop(child)


def _wait_for_port(child: subprocess.Popen[str], port: int, within_s: float, complaints: IO[bytes]) -> None:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if child.poll() is not None:
            raise LoadError(f"the peer ended with status {child.returncode}: {_last_line(complaints)}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise LoadError(f"the peer was not up within {within_s:.0f} s")


def _line(child: subprocess.Popen[str], complaints: IO[bytes]) -> dict[str, Any]:
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line:
        raise LoadError(f"the server did not start, or ended: {_last_line(complaints)}")
    message: dict[str, Any] = json.loads(line)
    return message


def _last_line(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    lines = complaints.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _stop(child: subprocess.Popen[str]) -> None:
    try:
        child.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
