"""A real server in this process whose rooms are spoken in without audio: for what watches them."""

from __future__ import annotations

import time
from types import TracebackType

from captions.config import Config, ServerConfig
from captions.models.scripted import ScriptedModel
from captions.server import Server
from captions.stream.protocol.native import Segment

__all__ = ["RoomServer"]


class RoomServer:
    """Use as an async context manager; `publish` reaches a room's watchers as the segments of its tracks do."""

    def __init__(self, config: Config | None = None) -> None:
        self._config = config or Config(server=ServerConfig(port=0, drain_s=0.0))
        self._server = Server(self._config, ScriptedModel(lanes=1))
        self._port = self._config.server.port

    @property
    def url(self) -> str:
        return f"http://localhost:{self._port}"

    async def __aenter__(self) -> RoomServer:
        await self._server.start()
        self._port = self._server.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop()

    def publish(self, segment: Segment) -> None:
        self._server._rooms.publish(segment, time.monotonic())
