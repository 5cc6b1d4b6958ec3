"""A real server in this process whose rooms are spoken in without audio: for what watches them."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from captions.config import Config, KeysConfig, LimitsConfig, RoomsConfig, ServerConfig, TokensConfig
from captions.doors.native.messages import Caption
from captions.models.scripted import ScriptedModel
from captions.server.server import Server

__all__ = ["RoomServer"]


class RoomServer:
    """Use as an async context manager; `publish` reaches a room's watchers as the segments of its tracks do."""

    def __init__(
        self,
        keys: KeysConfig | None = None,
        rooms: RoomsConfig | None = None,
        origins: tuple[str, ...] = (),
        tokens: TokensConfig | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = tokens or TokensConfig()
        self._wall_clock = wall_clock
        self._keys = keys or KeysConfig()
        self._origins = origins
        self._rooms = rooms or RoomsConfig()
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://localhost:{self._port}"

    async def __aenter__(self) -> RoomServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start, on the port of before if it was started before; it then knows nothing of what was."""
        server = ServerConfig(host="localhost", port=self._port, drain_s=0.0, origins=self._origins)
        # However busy the machine is, this server takes who comes.
        limits = LimitsConfig(late_s=60.0)
        config = Config(server=server, keys=self._keys, tokens=self._tokens, limits=limits, rooms=self._rooms)
        self._server = Server(config, ScriptedModel(lanes=1), wall_clock=self._wall_clock)
        await self._server.start()
        self._port = self._server.port

    async def stop(self) -> None:
        await self._server.stop()

    def publish(self, caption: Caption) -> None:
        self._server.rooms.publish(caption, time.monotonic())
