"""How a server comes to its end: what was heard is said, and who can go elsewhere goes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from captions.doors.rtp.session import RtpSession
from captions.doors.service import Service
from captions.server.connections import Connections
from captions.server.unless import unless

__all__ = ["Drain"]

_LAST_WORDS_S = 3.0
"""What is left of `drain_s` for the last words of tracks that did not move to another node."""
_LEAVE_SHARE = 0.8
"""After that much of the time they have, tracks that never pause move in the middle of speech."""


class Drain:
    """`run` it once nothing new is taken: it takes `drain_s` at most, and then what is still under way is given up."""

    def __init__(self, service: Service, connections: Connections, rtp: RtpSession | None, drain_s: float) -> None:
        self._service = service
        self._connections = connections
        self._rtp = rtp
        self._drain_s = drain_s

    async def run(self, failing: asyncio.Task[Any]) -> None:
        """Returns when all final segments were sent, or the time is over. Once `failing` has ended there are none."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s):
                await self._let_leave(failing)
                self._finish()
                await unless(failing, asyncio.create_task(self._service.engine.idle()))
                await self._connections.written()

    async def _let_leave(self, failing: asyncio.Task[Any]) -> None:
        """Where there are other nodes, clients that can move do so; who cannot is heard until the end is near."""
        stay_s = self._drain_s - _LAST_WORDS_S
        if stay_s <= 0 or self._service.elsewhere() is None:
            return
        for session in tuple(self._service.sessions.values()):
            session.ask_to_leave(stay_s * _LEAVE_SHARE)
        with suppress(TimeoutError):
            async with asyncio.timeout(stay_s):
                await unless(failing, asyncio.create_task(self._service.engine.idle()))

    def _finish(self) -> None:
        """No more audio is taken."""
        self._connections.finish()
        if self._rtp is not None:
            self._rtp.finish()
        for session in tuple(self._service.sessions.values()):
            session.finish()
