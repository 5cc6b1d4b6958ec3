"""What a server sees to again and again: whether it gets on, and what has been idle for long."""

from __future__ import annotations

import asyncio

from captions.doors.rtp.session import RtpSession
from captions.doors.service import Service
from captions.server.connections import Connections
from captions.server.fullness import Fullness
from captions.server.memory import Freed

__all__ = ["Upkeep"]

_WATCH_S = 0.05
"""How often the two worker threads and the event loop itself are looked after."""
_HOUSEKEEPING_S = 5.0


class Upkeep:
    """`start` once the model is warm, and `stop`. `failed` is set when what hears or the model has failed."""

    def __init__(self, service: Service, connections: Connections, fullness: Fullness, rtp: RtpSession | None) -> None:
        self._service = service
        self._connections = connections
        self._fullness = fullness
        self._rtp = rtp
        self._tasks: list[asyncio.Task[None]] = []
        self.failed = asyncio.Event()

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._keep_house())]

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _watch(self) -> None:
        """See whether the threads get on, and how late the event loop is: what was to come now comes later."""
        loop = asyncio.get_running_loop()
        while self._service.engine.look() is None:
            due_at = loop.time() + _WATCH_S
            await asyncio.sleep(_WATCH_S)
            self._fullness.look(loop.time() - due_at)
        self.failed.set()

    async def _keep_house(self) -> None:
        freed = Freed()
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            self._service.rooms.forget_idle(self._service.clock())
            await asyncio.to_thread(freed.look, len(self._connections))
            if self._rtp is not None:
                self._rtp.sweep(self._service.clock())
