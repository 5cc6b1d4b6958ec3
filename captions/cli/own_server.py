"""A server of one's own, for commands that were not told of a running one: a child process on a free port."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from captions.cli.errors import CommandError

__all__ = ["server_at"]

_STOP_S = 15.0


@asynccontextmanager
async def server_at(url: str | None, model: str | None) -> AsyncIterator[str]:
    """The address of a server: `url` if given, else of one started with `model` and stopped at the end.

    Raises:
        CommandError: it did not start; what it said is the message.
    """
    if url is not None:
        yield url
        return
    command = [sys.executable, "-m", "captions", "serve", "--host", "127.0.0.1", "--port", "0"]
    if model is not None:
        command += ["--model", model]
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    assert server.stdout is not None
    assert server.stderr is not None
    errors = asyncio.create_task(server.stderr.read())
    try:
        announced = re.search(rb"ws://[^/\s]+", await server.stdout.readline())
        if announced is None:
            said = (await errors).decode(errors="replace").strip().splitlines()
            raise CommandError(said[-1].removeprefix("captions: ") if said else "the server did not start")
        yield announced.group().decode()
    finally:
        if server.returncode is None:
            server.terminate()
            try:
                await asyncio.wait_for(server.wait(), _STOP_S)
            except TimeoutError:
                server.kill()
        await errors
