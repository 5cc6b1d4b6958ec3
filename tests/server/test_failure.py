"""A worker that dies or stands still: everybody is told, the process ends, and started again it captions again."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from captions.client import Client, ConnectError
from captions.doors.native.messages import Audio, Error, Segment, Started, Stopped
from captions.models.model import Batch, LaneOutput
from captions.models.scripted import ScriptedModel
from tests.server.failing_server import FATAL
from tests.server.harness import PATIENCE_S, Talker, pcm_f32le, serving, started, until
from tests.speech import saying

HANG_S = "0.5"


class Supervisor:
    """Starts the server again whenever it ends with an error, as systemd or Kubernetes would."""

    def __init__(self, folder: Path, how: str) -> None:
        self._folder = folder
        self._how = how
        self._port = "0"
        self.url = ""
        self.ended: list[tuple[int, str]] = []

    async def run(self) -> None:
        while True:
            server = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.server.failing_server", self._port, self._how),
                cwd=Path(__file__).parents[2],
                env={"CAPTIONS_SERVER_HANG_S": HANG_S, "PATH": "/usr/bin:/bin"},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                assert server.stdout is not None
                announced = re.search(r"ws://[^/\s]+", (await server.stdout.readline()).decode())
                assert announced is not None
                self.url = announced.group()
                self._port = self.url.rpartition(":")[2]
                _, err = await server.communicate()
            finally:
                if server.returncode is None:
                    server.kill()
                    await server.communicate()
            self.ended.append((server.returncode or 0, err.decode()))

    @asynccontextmanager
    async def supervising(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.run())
        try:
            await until(lambda: bool(self.url) or task.done())
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def captioned(url: str, *words: int) -> str:
    """What the server says of the words, by our own client, which comes back until it is served."""
    frames = saying(*words)
    while True:
        try:
            async with Client(url) as client:
                await client.send(started("t1"))
                for frame in frames:
                    await client.audio("t1", pcm_f32le(frame))
                await client.stop("t1")
                text = ""
                async for message in client:
                    if isinstance(message, Segment) and message.final:
                        text += message.text
                    if isinstance(message, Stopped):
                        return text
                    if isinstance(message, Error):
                        break
        except (ConnectError, ConnectionClosed):
            pass
        await asyncio.sleep(0.05)


async def close_code(connection: ClientConnection) -> int | None:
    with suppress(ConnectionClosed):
        async for _ in connection:
            pass
    return connection.close_code


@pytest.mark.parametrize("how", ["raise", "hang", "listener"])
async def test_who_runs_it_starts_it_again_and_captions_go_on(tmp_path: Path, how: str) -> None:
    supervisor = Supervisor(tmp_path, how)
    async with asyncio.timeout(4 * PATIENCE_S), supervisor.supervising():
        async with connect(f"{supervisor.url}/v1/stream", proxy=None) as connection:
            client = Talker(connection, "msgpack")
            await client.send(started("t1", live=True), started("t2", live=True))
            await client.hear(Started, lambda told: told.track == "t2")
            async with connect(f"{supervisor.url}/v1/rooms/daily/captions", proxy=None) as watcher:
                await client.speak("t1", saying(11, FATAL))
                while how == "listener" and not supervisor.ended:
                    try:
                        await client.send(Audio("t1", pcm_f32le(saying(1)[0])))
                    except ConnectionClosed:
                        break
                    await asyncio.sleep(0.02)
                told = {(await client.hear(Error, lambda error: error.code == "model_failed")).track for _ in range(2)}
                assert told == {"t1", "t2"}
                for told_too in (connection, watcher):
                    assert await close_code(told_too) == 1011
        assert await captioned(supervisor.url, 1, 2, 3) == "w1 w2 w3"
        (status, err), *_ = supervisor.ended
        assert status == 1
        assert err.splitlines()[-1].startswith("captions: ")
        assert "secret" not in err


class Fragile(ScriptedModel):
    """Fails with an error of nobody's, once told to."""

    fails = False

    def step(self, batch: Batch) -> list[LaneOutput]:
        if self.fails:
            raise ValueError("nobody foresaw this")
        return super().step(batch)


async def test_health_and_readiness_say_in_a_word_what_is_the_matter_and_nobody_new_is_let_in() -> None:
    model = Fragile(lanes=2)
    async with serving(model) as served:
        assert (await served.get("/healthz"))[0] == 200
        async with connect(f"{served.url}/api/asr-streaming", proxy=None) as kyutais, served.talker() as client:
            await client.send(started("t1", live=True))
            model.fails = True
            await client.speak("t1", saying(1))
            await client.hear(Error, lambda error: error.code == "model_failed")
            answers = [msgspec.msgpack.decode(await kyutais.recv(decode=False)) for _ in range(2)]
            assert answers == [{"type": "Ready"}, {"type": "Error", "message": answers[1]["message"]}]
        assert [await served.get(path) for path in ("/healthz", "/readyz")] == [(503, "model_failed")] * 2
        with pytest.raises(InvalidStatus, match="503"):
            async with served.talker():
                pass
