"""A server that dies in mid-speech: who is told, how it ends, and when there are captions again under a supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from websockets.exceptions import ConnectionClosed

from bench.attacks.attack import speech_packets
from bench.load.processes import LoadError
from bench.measure.intervals import exact
from bench.report.results import Run
from captions.client import Client, ConnectError
from captions.doors.native.messages import Error, Segment
from captions.stream.opus import OPUS_CLOCK

__all__ = ["ENDINGS", "Ending", "missed", "suffer"]

_TALKS_S = 5.0
_UP_S = 30.0
_PATIENCE_S = 25.0
_NEVER = -1.0
_HANG_S = 10.0
"""What a server takes for hanging, by default."""


@dataclass(frozen=True, slots=True)
class Ending:
    """`how`: a way of mortal_server's. `blow`: what ends it, None if it ends by itself.

    `told` clients have to be, and the process `fails`, which is a status other than 0; `within_s`: not ready by then.
    """

    name: str
    what: str
    how: str = "not"
    blow: signal.Signals | None = signal.SIGUSR1
    told: bool = True
    fails: bool = True
    within_s: float = 2.0


ENDINGS = {
    ending.name: ending
    for ending in (
        Ending("step-raises", "the model raises what nobody foresaw", "step-raises"),
        Ending("step-hangs", "the model does not come back from a step", "step-hangs", within_s=_HANG_S + 2.0),
        Ending("listener-raises", "the listener raises what nobody foresaw", "listener-raises"),
        Ending("warm-up-raises", "the model does not warm up", "warm-up-raises", blow=None, told=False),
        Ending("sigterm", "SIGTERM in mid-speech", blow=signal.SIGTERM, fails=False),
        Ending("sigkill", "SIGKILL in mid-speech", blow=signal.SIGKILL, told=False),
    )
}


@dataclass(slots=True)
class _Listener:
    """What a client that talks on saw: when words came, whether it was told of the end.

    `never_final`: how many segments were still open when the connection was first lost.
    """

    words_at: list[float] = field(default_factory=list)
    told: bool = False
    never_final: int | None = None

    async def talk_for_ever(self, url: str) -> None:
        """Come back whenever the connection is lost."""
        while True:
            with suppress(ConnectError, ConnectionClosed):
                async with Client(url, reconnect_s=0.0) as client:
                    await client.start("daily", "talker", "opus", OPUS_CLOCK)
                    talking = asyncio.create_task(_talk(client))
                    try:
                        await self._listen(client)
                    finally:
                        talking.cancel()
            await asyncio.sleep(0.1)

    async def _listen(self, client: Client) -> None:
        open_segments: set[str] = set()
        try:
            async for message in client:
                if isinstance(message, Error) and message.code == "model_failed":
                    self.told = True
                elif isinstance(message, Segment):
                    (open_segments.discard if message.final else open_segments.add)(message.id)
                    if message.words:
                        self.words_at.append(time.monotonic())
            self.told = True  # a closing handshake with a code of going away
        except ConnectionClosed as error:
            self.told = self.told or error.rcvd is not None
        finally:
            if self.never_final is None:
                self.never_final = len(open_segments)


class _Supervised:
    """The server on one port, started again whenever it ends."""

    def __init__(self, how: str) -> None:
        self._how = how
        self._port = "0"
        self.url = ""
        self.ended: list[tuple[float, int]] = []
        self.pid = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        supervising = asyncio.create_task(self._supervise())
        try:
            yield
        finally:
            supervising.cancel()
            await asyncio.gather(supervising, return_exceptions=True)

    async def until_up(self) -> None:
        """Wait until it has said where it listens.

        Raises:
            LoadError: it never did.
        """
        until = time.monotonic() + _UP_S
        while not self.url:
            if time.monotonic() > until:
                raise LoadError("the server did not start")
            await asyncio.sleep(0.05)

    async def readiness(self) -> int:
        """The status of /readyz, 0 if nobody answers."""
        return await asyncio.to_thread(_status, self.url.replace("ws://", "http://", 1) + "/readyz")

    async def _supervise(self) -> None:
        while True:
            server = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bench.servers.mortal_server", self._port, self._how),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            self.pid = server.pid
            try:
                assert server.stdout is not None
                said = (await server.stdout.readline()).decode()
                if "ws://" in said:
                    self.url = "ws://" + said.partition("ws://")[2].partition("/")[0].strip()
                    self._port = self.url.rpartition(":")[2]
                await server.stdout.read()
                self.ended.append((time.monotonic(), await server.wait()))
            finally:
                if server.returncode is None:
                    server.kill()
                    await server.wait()


def suffer(ending: Ending) -> Run:
    """The figures of one end."""
    return asyncio.run(_suffer(ending))


def missed(ending: Ending, run: Run) -> list[str]:
    """Which of the targets were missed, in words."""
    value = {name: figure.value for name, figure in run.figures.items()}
    misses = {
        "not ready too late": not 0 <= value["not_ready_after"] <= ending.within_s,
        "clients not told": ending.told and not value["told"],
        "the process did not end": value["ended_after"] < 0,
        "its status": value["ended_after"] >= 0 and bool(value["status"]) != ending.fails,
        "no captions again": ending.blow is not None and not 0 <= value["captions_again"] <= ending.within_s + 8.0,
        "words not final": not ending.fails and value["never_final"] > 0,
    }
    return [what for what, is_missed in misses.items() if is_missed]


async def _suffer(ending: Ending) -> Run:
    server, listener = _Supervised(ending.how), _Listener()
    began_at = time.monotonic()
    async with server.running():
        if ending.blow is None:
            await _until(lambda: bool(server.ended))
            return _run_of(ending, server, listener, began_at, began_at)
        await server.until_up()
        talking = asyncio.create_task(listener.talk_for_ever(server.url))
        await asyncio.sleep(_TALKS_S)
        if not listener.words_at:
            raise LoadError("nobody heard a word before the end")
        blown_at = time.monotonic()
        os.kill(server.pid, ending.blow)
        not_ready_at = await _not_ready_at(server)
        await _until(lambda: bool(server.ended))
        ended_at = server.ended[0][0] if server.ended else blown_at
        await _until(lambda: bool(server.ended) and listener.words_at[-1] > ended_at)
        talking.cancel()
    return _run_of(ending, server, listener, blown_at, not_ready_at)


def _run_of(ending: Ending, server: _Supervised, listener: _Listener, blown_at: float, not_ready_at: float) -> Run:
    ended_at, status = server.ended[0] if server.ended else (0.0, 0)
    again_at = next((at for at in listener.words_at if server.ended and at > ended_at), None)
    return Run(
        ending.name,
        {
            "not_ready_after": exact(not_ready_at - blown_at if not_ready_at else _NEVER, "s"),
            "told": exact(listener.told, ""),
            "ended_after": exact(ended_at - blown_at if server.ended else _NEVER, "s"),
            "status": exact(status, ""),
            "captions_again": exact(again_at - blown_at if again_at is not None else _NEVER, "s"),
            "never_final": exact(listener.never_final or 0, ""),
        },
    )


async def _not_ready_at(server: _Supervised) -> float:
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        if await server.readiness() != 200:
            return time.monotonic()
        await asyncio.sleep(0.05)
    return 0.0


async def _until(condition: Callable[[], bool]) -> None:
    """Wait for it, but not for ever."""
    until = time.monotonic() + _PATIENCE_S
    while not condition() and time.monotonic() < until:  # noqa: ASYNC110 -- what is waited for is another process
        await asyncio.sleep(0.05)


async def _talk(client: Client) -> None:
    began_at, number = time.monotonic(), 0
    with suppress(ConnectError):
        while True:
            await asyncio.sleep(max(0.0, began_at + number * 0.02 - time.monotonic()))
            await client.audio("talker", speech_packets()[number % len(speech_packets())])
            number += 1


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
