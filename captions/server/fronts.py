"""Fronts: what runs in each process where several share the port and one has the model. See supervisor.py.

    supervisor --- starts, watches, starts anew ---+
      |                |                |          |
      front 1          front 2 ...      front N    model
      |  sockets, hearing, tracks, rooms  |          |
      +------ orders, results (engine/wire.py) ------+

Each process has a pipe to the supervisor. It says `BEAT` down the pipe for as long as it works, and ends when the pipe
does: no process outlives the supervisor.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from typing import TypeAlias

from captions import logs
from captions.config import Config
from captions.engine.model_host import ModelHost
from captions.engine.policies import lane_policy
from captions.engine.relay import Relay
from captions.engine.remote_runner import ModelLink, RemoteRunner
from captions.engine.runner import runner_of
from captions.models.model import Model, ModelError
from captions.server.server import Front, Server, ServerFailed

__all__ = ["BEAT", "BEAT_S", "READY", "MakeModel", "run_front", "run_model"]

MakeModel: TypeAlias = Callable[[], Model]

BEAT = "beat"
READY = "ready"
"""Said by a front; the model says what it is, or why it cannot be loaded. The model is told of fronts that died."""
BEAT_S = 0.5


def run_model(make_model: MakeModel, config: Config, number: int, address: str, pipe: Pipe) -> None:
    """The process of the model: load it, then serve all fronts until the pipe ends or the model fails."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logs.configure()
    try:
        model = make_model()
        host = ModelHost(address, number, runner_of(model, config))
        host.warm_up()
    except ModelError as error:
        pipe.send(str(error))
        raise SystemExit(1) from None
    pipe.send(model.info)
    try:
        _serve_model(host, pipe)
    except (EOFError, OSError):
        host.close()


def _serve_model(host: ModelHost, pipe: Pipe) -> None:
    """
    Raises:
        EOFError, OSError: the supervisor is gone.
        SystemExit: the model is.
    """
    beat_at = 0.0
    while host.turn(BEAT_S / 2):
        now = time.monotonic()
        if now >= beat_at:
            pipe.send(BEAT)
            beat_at = now + BEAT_S
        while pipe.poll():
            host.forget(pipe.recv())
    raise SystemExit(1)


def run_front(config: Config, reread: Callable[[], Config], number: int, address: str, pipe: Pipe) -> None:
    """The process of a front: wait for the model, then serve until SIGTERM, SIGINT or the end of the pipe."""
    stopping = [False]
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopping.__setitem__(0, True))
    logs.configure()
    link = ModelLink(address, number)
    welcome = link.wait(lambda: _beat(pipe) and not stopping[0])
    if welcome is None:
        return
    policy = lane_policy(welcome.info, config)
    relay = Relay(policy.preroll_frames, policy.backlog_frames)
    front = Front(number, lambda deliver, warmed: RemoteRunner(link, welcome, relay, deliver, warmed))
    try:
        asyncio.run(_serve_front(Server(config, None, reread=reread, front=front), pipe))
    except ServerFailed as error:
        pipe.send(str(error))
        os._exit(1)  # an ordinary end would wait for a thread that stands still


def _beat(pipe: Pipe) -> bool:
    """Whether the supervisor is still there."""
    try:
        pipe.send(BEAT)
        return not pipe.poll()
    except OSError:
        return False


async def _serve_front(server: Server, pipe: Pipe) -> None:
    beating = asyncio.create_task(_beat_on(pipe))
    try:
        await server.run(lambda: pipe.send(READY))
    finally:
        beating.cancel()


async def _beat_on(pipe: Pipe) -> None:
    while _beat(pipe):  # noqa: ASYNC110 -- what is waited for is another process
        await asyncio.sleep(BEAT_S)
    os.kill(os.getpid(), signal.SIGTERM)
