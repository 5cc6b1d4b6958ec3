"""A server with the scripted model in a process of its own, which may be killed, and started again where it was."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from captions.config import load
from captions.models.scripted import ScriptedModel
from captions.server.server import Server
from tests.server.harness import PATIENCE_S

__all__ = ["ServerProcess", "server_process"]


class ServerProcess:
    """`url`: where it listens."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self._process = process
        self.url = url

    async def kill(self) -> None:
        """As a power cut would."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    def terminate(self) -> None:
        """As a rolling update does."""
        self._process.send_signal(signal.SIGTERM)

    async def stop(self) -> None:
        """The same, and wait until it has ended well."""
        self.terminate()
        assert await self.ended() == 0

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return await self._process.wait()


@asynccontextmanager
async def server_process(
    redis_url: str = "", drain_s: float = 20.0, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[ServerProcess]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.server_process", redis_url, str(drain_s), host, str(port)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        url = (await process.stdout.readline()).decode().strip()
    assert url.startswith("ws://")
    server = ServerProcess(process, url)
    try:
        yield server
    finally:
        await server.kill()


async def _main(redis_url: str, drain_s: float, host: str, port: int) -> None:
    settings: dict[str, dict[str, Any]] = {
        "server": {"host": host, "port": port, "drain_s": drain_s},
        "limits": {"late_s": 60.0},  # the machine that runs the tests may be late
        "cluster": {"redis": redis_url},
    }
    server = Server(load(None, {}, settings), ScriptedModel(lanes=4))
    await server.run(lambda: print(f"ws://{host}:{server.port}", flush=True))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], float(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
