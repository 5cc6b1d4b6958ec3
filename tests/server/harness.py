"""A real server in this process, on a port of its own, and clients that remember what they were told."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from captions.config import load
from captions.doors.native import messages as native
from captions.doors.native.messages import (
    Audio,
    ClientMessage,
    Encoding,
    Error,
    Participant,
    Segment,
    ServerMessage,
    Start,
    Stop,
    Stopped,
)
from captions.engine.engine import EngineCensus
from captions.models.model import Model
from captions.models.scripted import ScriptedModel
from captions.server.server import Census, Server
from captions.types import Pcm

__all__ = [
    "NOTHING",
    "PATIENCE_S",
    "Gate",
    "Served",
    "Talker",
    "final_text",
    "finals",
    "pcm_f32le",
    "serving",
    "started",
    "until",
    "until_closed",
]

PATIENCE_S = 30.0
"""How long a test waits for what must come; no test needs it to pass."""

M = TypeVar("M", bound=ServerMessage)

NOTHING = Census(0, 0, 0, 0, 0, EngineCensus(0, 0, 0, 0, 0))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that other tasks or threads bring about."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 -- what is waited for happens on other threads, too
            await asyncio.sleep(0.002)


async def until_closed(socket: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """All that is said in JSON, and the close code."""
    async with asyncio.timeout(PATIENCE_S):
        said: list[dict[str, Any]] = []
        with suppress(ConnectionClosed):
            async for payload in socket:
                said.append(json.loads(payload))  # noqa: PERF401 -- what came before the close is kept
    assert socket.close_code is not None
    return said, socket.close_code


class Gate:
    """Steps of a model wait here until it is open."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Event()

    def __call__(self, lanes: int) -> None:
        self.entered.set()
        self.opened.wait(PATIENCE_S)


@dataclass
class Served:
    """A running server."""

    server: Server

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.server.port}"

    @asynccontextmanager
    async def talker(self, encoding: Encoding = "msgpack", *, key: str | None = None) -> AsyncIterator[Talker]:
        """A publishing client."""
        headers = {"Authorization": f"Bearer {key}"} if key else None
        async with connect(
            f"{self.url}/v1/stream",
            subprotocols=[Subprotocol(native.SUBPROTOCOL)],
            additional_headers=headers,
            max_size=None,
            proxy=None,
        ) as connection:
            yield Talker(connection, encoding)

    async def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Status and body of a plain HTTP request."""
        return await self.ask("GET", path, headers)

    async def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: str = ""
    ) -> tuple[int, str]:
        """The same by any method, with a body if need be."""
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
            sent = {"Host": "127.0.0.1"} | ({"Content-Length": str(len(body))} if body else {}) | (headers or {})
            lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
            writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n{body}".encode())
            head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
            writer.close()
        return int(head.split()[1]), answer.decode()

    async def metric(self, name: str, **labels: str) -> float:
        """A sample as Prometheus would scrape it; 0 for one that does not exist yet."""
        _, text = await self.get("/metrics")
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return next((sample.value for sample in samples if sample.name == name and sample.labels == labels), 0.0)

    async def nothing_held(self, but: Census = NOTHING) -> None:
        """Wait until the server has freed everything, `but` what is still to be used."""
        try:
            await until(lambda: self.server.census() == but)
        except TimeoutError:
            raise AssertionError(f"still held: {self.server.census()}") from None


@asynccontextmanager
async def serving(
    model: Model | None = None,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,
    **settings: dict[str, Any],
) -> AsyncIterator[Served]:
    """A warm server with the scripted model, or another. Settings by section, as in config.toml.

    Unless told otherwise, sessions do not outlive their connections, and the server is late for nobody: the machine
    that runs the tests may be.
    """
    settings["server"] = {"port": 0, "drain_s": PATIENCE_S} | settings.get("server", {})
    settings["limits"] = {"resume_s": 0.0, "late_s": 60.0} | settings.get("limits", {})
    config = load(None, {}, settings)
    server = Server(config, model or ScriptedModel(lanes=4), clock, wall_clock)
    await server.start()
    try:
        yield Served(server)
    finally:
        await server.stop()


def started(track: str, *, room: str = "daily", name: str = "", live: bool = False) -> Start:
    """A track of 24 kHz float samples, whose frames reach the model as they are."""
    return Start(room, track, "pcm_f32le", Participant(f"p-{track}", name), 24_000, live=live)


def pcm_f32le(frame: Pcm) -> bytes:
    return frame.astype("<f4").tobytes()


def finals(messages: Iterable[ServerMessage], track: str) -> list[Segment]:
    return [m for m in messages if isinstance(m, Segment) and m.final and m.track == track and m.words]


def final_text(messages: Iterable[ServerMessage], track: str) -> str:
    return " ".join(segment.text for segment in finals(messages, track))


class Talker:
    """One connection on the native protocol. `said` is everything the server told it so far."""

    def __init__(self, connection: ClientConnection, encoding: Encoding) -> None:
        self.connection = connection
        self.encoding: Encoding = encoding
        self.said: list[ServerMessage] = []

    async def send(self, *messages: ClientMessage) -> None:
        for message in messages:
            await self.connection.send(native.encode(message, self.encoding))

    async def speak(self, track: str, frames: Iterable[Pcm]) -> None:
        for frame in frames:
            await self.send(Audio(track, pcm_f32le(frame)))

    async def next(self) -> ServerMessage:
        async with asyncio.timeout(PATIENCE_S):
            payload = await self.connection.recv()
        assert isinstance(payload, str) == (self.encoding == "json"), "the server answers in the client's encoding"
        message = native.decode_server(payload)
        self.said.append(message)
        return message

    async def hear(self, kind: type[M], matches: Callable[[M], bool] = lambda message: True) -> M:
        """The next message of a kind."""
        while True:
            message = await self.next()
            if isinstance(message, kind) and matches(message):
                return message

    async def stop(self, track: str) -> str:
        """Stop a track; everything it said in final segments."""
        await self.send(Stop(track))
        await self.hear(Stopped, lambda stopped: stopped.track == track)
        return final_text(self.said, track)

    async def say(self, track: str, frames: Iterable[Pcm], *, room: str = "daily", name: str = "") -> str:
        """Start a track, speak and stop; everything it said in final segments."""
        await self.send(started(track, room=room, name=name))
        await self.speak(track, frames)
        return await self.stop(track)

    def errors(self) -> list[Error]:
        return [message for message in self.said if isinstance(message, Error)]
