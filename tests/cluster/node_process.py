"""A node with the scripted model in a process of its own, which may be killed."""

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

__all__ = ["NodeProcess", "node_process"]


class NodeProcess:
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

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return await self._process.wait()


@asynccontextmanager
async def node_process(redis_url: str, drain_s: float = 20.0) -> AsyncIterator[NodeProcess]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.cluster.node_process", redis_url, str(drain_s)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        url = (await process.stdout.readline()).decode().strip()
    assert url.startswith("ws://")
    node = NodeProcess(process, url)
    try:
        yield node
    finally:
        await node.kill()


async def _main(redis_url: str, drain_s: float) -> None:
    settings: dict[str, dict[str, Any]] = {
        "server": {"port": 0, "drain_s": drain_s},
        "limits": {"late_s": 60.0},  # the machine that runs the tests may be late
        "cluster": {"redis": redis_url},
    }
    server = Server(load(None, {}, settings), ScriptedModel(lanes=4))
    await server.run(lambda: print(f"ws://127.0.0.1:{server.port}", flush=True))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], float(sys.argv[2])))
