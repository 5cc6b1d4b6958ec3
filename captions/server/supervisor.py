"""The parent of several fronts and of the one process that has the model: it starts them, and starts anew who ends.

It hears nothing, runs no model and has no socket but the one that reserves the port. The rules:

- A process that ends, or that says nothing for `server.hang_s`, is replaced, sooner or later as restarts.py says. The
  end of one that hangs is made sure of.
- A front takes its own connections with it. The model takes none: fronts keep the speech until there is another.
- Who fails several times in a row brings everything down: whoever runs the server is to know.
- At SIGTERM or SIGINT the fronts drain; the model ends behind them.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType

from msgspec import structs

from captions.config import Config
from captions.models.model import ModelError, ModelInfo
from captions.server.fronts import BEAT, BEAT_S, READY, MakeModel, run_front, run_model
from captions.server.restarts import Restarts

__all__ = ["Supervisor"]

log = logging.getLogger(__name__)

_DRAIN_MARGIN_S = 5.0


@dataclass(slots=True)
class _Child:
    """A process that is to run for as long as the server does, whichever is running it now.

    `number`: of the running one; `heard_at`: when it last said something; `starts_at`: when it is started anew.
    """

    name: str
    restarts: Restarts = field(default_factory=Restarts)
    number: int = 0
    process: SpawnProcess | None = None
    pipe: Pipe | None = None
    is_ready: bool = False
    was_ready: bool = False
    started_at: float = 0.0
    heard_at: float = 0.0
    starts_at: float = 0.0


class Supervisor:
    """`run` a server of `config.server.fronts` fronts until it is told to stop; `make_model` and `reread` are pickled.

    Raises:
        OSError: the port cannot be had.
        ModelError: the model cannot be loaded, or a process failed too often.
    """

    def __init__(self, config: Config, make_model: MakeModel, reread: Callable[[], Config] | None = None) -> None:
        self._reserved = _reserve(config.server.host, config.server.port)
        self.port: int = self._reserved.getsockname()[1]
        self._config = structs.replace(config, server=structs.replace(config.server, port=self.port))
        self._make_model = make_model
        self._reread = reread or partial(_as_it_is, self._config)
        self._context = multiprocessing.get_context("spawn")
        self._model = _Child("model")
        self._fronts = [_Child("front") for _ in range(config.server.fronts)]
        self._last_number = 0
        self._stopping = False

    def run(self, ready: Callable[[ModelInfo], None]) -> None:
        """`ready` is called once all processes are, with what the model is."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._stop)
        signal.signal(signal.SIGHUP, self._hang_up)
        with tempfile.TemporaryDirectory(prefix="captions-") as folder:
            self._address = f"ipc://{Path(folder) / 'model'}"
            try:
                self._watch(ready)
                self._drain()
            finally:
                for child in (*self._fronts, self._model):
                    if child.process is not None:
                        child.process.kill()
                        child.process.join()
                self._reserved.close()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stopping = True

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        """Fronts read their keys and certificate again."""
        del frame
        for child in self._fronts:
            if child.is_ready and child.process is not None and child.process.pid is not None:
                os.kill(child.process.pid, number)

    def _watch(self, ready: Callable[[ModelInfo], None]) -> None:
        info: ModelInfo | None = None
        children = [self._model, *self._fronts]
        while not self._stopping:
            now = time.monotonic()
            for child in children:
                if child.process is None and now >= child.starts_at:
                    self._start(child, now)
            pipes = [child.pipe for child in children if child.pipe is not None]
            said = wait(pipes, BEAT_S / 2)
            for child in children:
                if child.pipe in said:
                    info = self._hear(child) or info
            for child in children:
                self._check(child, time.monotonic())
            if info is not None and all(child.was_ready for child in children):
                ready(info)
                info = None

    def _start(self, child: _Child, now: float) -> None:
        self._last_number += 1
        child.number = self._last_number
        child.pipe, theirs = self._context.Pipe()
        if child is self._model:
            child.process = self._context.Process(
                target=run_model, args=(self._make_model, self._config, child.number, self._address, theirs)
            )
        else:
            child.process = self._context.Process(
                target=run_front, args=(self._config, self._reread, child.number, self._address, theirs)
            )
        child.process.start()
        theirs.close()
        child.is_ready = False
        child.started_at = child.heard_at = now
        log.info("started", extra={"part": child.name, "number": child.number, "pid": child.process.pid})

    def _hear(self, child: _Child) -> ModelInfo | None:
        """What a child says; the model says what it is when it is ready.

        Raises:
            ModelError: the model cannot be loaded at all.
        """
        assert child.pipe is not None
        try:
            said = child.pipe.recv()
        except (EOFError, OSError):
            self._end(child)
            return None
        child.heard_at = time.monotonic()
        if said == BEAT:
            return None
        if isinstance(said, ModelInfo) or said == READY:
            child.is_ready = child.was_ready = True
            return said if isinstance(said, ModelInfo) else None
        if not child.was_ready:
            raise ModelError(said)
        log.error("failed", extra={"part": child.name, "number": child.number, "reason": said})
        return None

    def _check(self, child: _Child, now: float) -> None:
        if child.process is not None and child.is_ready and now - child.heard_at > self._config.server.hang_s:
            log.error("hangs", extra={"part": child.name, "number": child.number})
            self._end(child)

    def _end(self, child: _Child) -> None:
        """A child has ended, or hangs and is ended here; it is started anew unless it failed too often.

        Raises:
            ModelError: it has.
        """
        assert child.process is not None
        assert child.pipe is not None
        now = time.monotonic()
        child.process.kill()
        child.process.join()
        log.error("ended", extra={"part": child.name, "number": child.number, "status": child.process.exitcode})
        child.pipe.close()
        child.process = child.pipe = None
        if child is not self._model and self._model.pipe is not None:
            _tell(self._model.pipe, child.number)
        wait_s = child.restarts.wait_s(now - child.started_at)
        if wait_s is None:
            raise ModelError(f"the {child.name} process failed too often")
        child.starts_at = now + wait_s

    def _drain(self) -> None:
        """The fronts finish what they have heard, which takes the model."""
        log.info("draining", extra={"fronts": len(self._fronts)})
        running = [child.process for child in self._fronts if child.process is not None]
        for process in running:
            process.terminate()
        until = time.monotonic() + self._config.server.drain_s + _DRAIN_MARGIN_S
        for process in running:
            process.join(max(0.0, until - time.monotonic()))


def _as_it_is(config: Config) -> Config:
    return config


def _tell(pipe: Pipe, number: int) -> None:
    try:
        pipe.send(number)
    except OSError:
        return  # it has ended as well


def _reserve(host: str, port: int) -> socket.socket:
    """A socket that is bound and does not listen: fronts may have the port as well, others may not.

    Raises:
        OSError: it cannot be had.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    reserved = socket.socket(family, kind, protocol)
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(address)
    except OSError:
        reserved.close()
        raise
    return reserved
