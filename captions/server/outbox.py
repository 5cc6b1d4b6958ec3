"""What waits to be sent on one connection: bounded, never waited for by who fills it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

__all__ = ["Outbox"]


class Outbox:
    """`send` from the event loop; `run` writes until `close`, then what is left, and returns.

    Whoever reads slower than `limit` messages behind is too slow: `overflow` is called once, and nothing more is kept.
    """

    def __init__(
        self, write: Callable[[bytes | str], Awaitable[None]], limit: int, overflow: Callable[[], None]
    ) -> None:
        self._write = write
        self._limit = limit
        self._overflow = overflow
        self._messages: deque[bytes | str] = deque()
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = False

    def send(self, payload: bytes | str) -> None:
        if self._closed:
            return
        if len(self._messages) >= self._limit:
            self._closed = True
            self._messages.clear()
            self._filled.set()
            self._overflow()
            return
        self._messages.append(payload)
        self._filled.set()
        self._empty.clear()

    async def written(self) -> None:
        """Wait until all that was sent so far is written."""
        await self._empty.wait()

    def close(self) -> None:
        """Nothing more comes; `run` returns once all is written."""
        self._closed = True
        self._filled.set()

    async def run(self) -> None:
        while True:
            while self._messages:
                await self._write(self._messages.popleft())
            self._empty.set()
            if self._closed:
                return
            self._filled.clear()
            await self._filled.wait()
