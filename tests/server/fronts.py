"""A server of several processes for tests: `python -m tests.server.fronts FRONTS REDIS`, with the scripted model."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from captions import logs
from captions.config import ClusterConfig, Config, LimitsConfig, ServerConfig
from captions.models.scripted import ScriptedModel
from captions.server.supervisor import Supervisor
from tests.server.harness import PATIENCE_S

__all__ = ["Fronts", "serving_by"]

LANES = 32


@dataclass
class Fronts:
    """`started` is told by the server of itself: each process' part ("model" or "front") and pid, in order."""

    process: asyncio.subprocess.Process
    url: str = ""
    started: list[tuple[str, int]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def pids(self, part: str) -> list[int]:
        return [pid for kind, pid in self.started if kind == part]

    async def replaces(self, part: str, number: signal.Signals) -> None:
        """Send a signal to the newest process of a part, and wait until another was started in its place."""
        before = self.pids(part)
        os.kill(before[-1], number)
        async with asyncio.timeout(PATIENCE_S):
            while len(self.pids(part)) == len(before):
                self._changed.clear()
                await self._changed.wait()

    async def read(self, ready: asyncio.Event) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            said = json.loads(line)
            if "url" in said:
                self.url = said["url"]
                ready.set()
            elif said.get("event") == "started":
                self.started.append((said["part"], said["pid"]))
                self._changed.set()


@asynccontextmanager
async def serving_by(fronts: int, redis: str = "") -> AsyncIterator[Fronts]:
    """A server of so many fronts in processes of its own; `redis`: where their rooms are."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "tests.server.fronts", str(fronts), redis)
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    served, ready = Fronts(process), asyncio.Event()
    reading = asyncio.create_task(served.read(ready))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await ready.wait()
        yield served
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            await process.wait()
        async with asyncio.timeout(PATIENCE_S):
            await reading


def main() -> None:
    logs.configure()
    server = ServerConfig(port=0, fronts=int(sys.argv[1]), drain_s=2.0, hang_s=2.0)
    config = Config(server=server, limits=LimitsConfig(late_s=60.0), cluster=ClusterConfig(redis=sys.argv[2]))
    supervisor = Supervisor(config, partial(ScriptedModel, LANES))
    url = f"ws://127.0.0.1:{supervisor.port}"
    supervisor.run(lambda _info: print(json.dumps({"url": url}), flush=True))


if __name__ == "__main__":
    main()
