"""Load from separate processes, so that the harness's own work never sits between a server and its clock."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait

import numpy as np

from bench.load.connection import ConnectionRefused
from bench.load.sender import SenderReport, SenderShare, Target, TrackPlan, run_share
from bench.measure.events import TrackLog
from bench.measure.process import hurry

__all__ = ["LATE_LIMIT_MS", "LoadError", "LoadReport", "run_load", "shares_of"]

LATE_LIMIT_MS = 10.0
"""The harness's own lateness, p99, up to which its figures are the server's."""

_LEAD_S = 0.5
_START_S = 60.0


class LoadError(Exception):
    """The load could not be run; the message is one line."""


@dataclass(slots=True)
class LoadReport:
    """What all senders did and saw."""

    logs: list[TrackLog] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    held_up: int = 0
    sender_cpu_s: float = 0.0
    began_at: float = 0.0
    ended_at: float = 0.0

    @property
    def late_p99_ms(self) -> float:
        return float(np.percentile(self.late_ms, 99)) if self.late_ms else 0.0

    @property
    def harness_limited(self) -> bool:
        """The harness was late itself: what it measured is not the server's alone."""
        return self.late_p99_ms > LATE_LIMIT_MS

    @property
    def held_up_share(self) -> float:
        """Share of packets that waited because the server did not read."""
        return self.held_up / max(1, self.held_up + len(self.late_ms))


def shares_of(
    target: Target,
    tracks: Sequence[TrackPlan],
    processes: int = 1,
    tracks_per_connection: int = 50,
    done_within_s: float = 60.0,
) -> list[SenderShare]:
    """Divide tracks over processes, and over connections in each, of protocols that carry several on one."""
    per_connection = tracks_per_connection if target.protocol in ("native", "jitsi", "rtp") else 1
    shares = []
    for process in range(processes):
        mine = tracks[process::processes]
        connections = tuple(tuple(mine[at : at + per_connection]) for at in range(0, len(mine), per_connection))
        if connections:
            shares.append(SenderShare(target, connections, done_within_s))
    return shares


def run_load(
    shares: Sequence[SenderShare], core: int | None = None, tick: Callable[[float], None] = lambda _elapsed_s: None
) -> LoadReport:
    """Run all shares, each in a process of its own, and wait for them.

    Args:
        core: the processor core the senders keep to, None for any.
        tick: called about five times a second with the seconds since the load began, for progress bars and sampling.

    Raises:
        LoadError: a sender failed.
    """
    context = multiprocessing.get_context("spawn")
    senders = []
    for share in shares:
        ours, theirs = context.Pipe()
        process = context.Process(target=_sender_main, args=(share, core, theirs), daemon=True)
        process.start()
        theirs.close()
        senders.append((process, ours))
    try:
        for _, pipe in senders:
            _expect(pipe, _START_S)
        report = LoadReport(began_at=time.monotonic() + _LEAD_S)
        for _, pipe in senders:
            pipe.send(report.began_at)
        waiting = [pipe for _, pipe in senders]
        while waiting:
            tick(max(0.0, time.monotonic() - report.began_at))
            for finished in wait(waiting, timeout=0.2):
                assert isinstance(finished, Pipe)
                _add(report, _expect(finished, 0.0))
                waiting.remove(finished)
        report.ended_at = time.monotonic()
        return report
    finally:
        for process, pipe in senders:
            pipe.close()
            process.join(5)
            if process.is_alive():
                process.terminate()


def _expect(pipe: Pipe, within_s: float) -> object:
    """The sender's next message.

    Raises:
        LoadError: it says it failed, or nothing in time.
    """
    try:
        if within_s and not pipe.poll(within_s):
            raise LoadError(f"a sender was not ready within {within_s:.0f} s")
        message = pipe.recv()
    except EOFError:
        raise LoadError("a sender died") from None
    if isinstance(message, str):
        raise LoadError(message)
    return message


def _add(report: LoadReport, of_one: object) -> None:
    assert isinstance(of_one, SenderReport)
    report.logs += of_one.logs
    report.late_ms += of_one.late_ms
    report.held_up += of_one.held_up
    report.sender_cpu_s += of_one.cpu_s


def _sender_main(share: SenderShare, core: int | None, pipe: Pipe) -> None:
    """A sender process. It says "connected" (True), hears when to begin, and answers with its report or an error."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    hurry()
    try:
        pipe.send(asyncio.run(_converse(share, pipe)))
    except* ConnectionRefused as group:
        _complain(pipe, str(group.exceptions[0]))
    except* (EOFError, OSError, ValueError) as group:
        _complain(pipe, f"a sender failed: {group.exceptions[0]!r}")


def _complain(pipe: Pipe, message: str) -> None:
    """Tell the harness, unless it is gone itself."""
    with suppress(OSError):
        pipe.send(message)


async def _converse(share: SenderShare, pipe: Pipe) -> SenderReport:
    loop = asyncio.get_running_loop()
    connected = asyncio.Event()
    begin_at: asyncio.Future[float] = loop.create_future()

    def listen() -> None:
        moment = pipe.recv()
        loop.call_soon_threadsafe(begin_at.set_result, moment)

    async def announce() -> None:
        await connected.wait()
        pipe.send(True)
        threading.Thread(target=listen, daemon=True).start()

    announcing = asyncio.create_task(announce())
    report = await run_share(share, connected, begin_at)
    await announcing
    return report
