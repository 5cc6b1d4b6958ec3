"""A real Redis, Debian's redis-server, on a port of its own, which may be killed and started again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bench.servers.free_port import free_port

__all__ = ["RedisServer", "redis_server"]


class RedisServer:
    """Keeps nothing on disk: who kills it has killed what it held.

    `inside`: arguments before its command, by which it runs on a host of its own; `host`: its address.
    """

    def __init__(self, port: int, host: str, inside: Sequence[str]) -> None:
        self.port = port
        self.host = host
        self._inside = inside
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(*self._inside, "redis-server", "--port", str(self.port), "--save", "", "--appendonly", "no"),
            *(("--bind", "*", "--protected-mode", "no") if self._inside else ("--bind", self.host)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(30.0):
            while True:
                try:
                    _, writer = await asyncio.open_connection(self.host, self.port)
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    return

    async def kill(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    def freeze(self) -> None:
        """It answers nothing, and its connections stay open: what a partition looks like."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def redis_server(host: str = "127.0.0.1", inside: Sequence[str] = ()) -> AsyncIterator[RedisServer]:
    server = RedisServer(free_port(), host, inside)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()
