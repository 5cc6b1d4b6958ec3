"""What waits to be sent on one connection: bounded, never waited for by who fills it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from itertools import count

from captions.doors.shared_bytes import SharedBytes

__all__ = ["Outbox"]


def _never(_payload: str) -> bool:
    return False


class Outbox:
    """`send` from the event loop; `run` writes until `close`, then what is left, and returns.

    `write_at_once` is offered each text before which nothing waits, and says whether it took it; the rest waits.
    `skipped` is called for each revision that is not written because a newer one came while it waited.
    Whoever is more than `limit` messages or `limit_bytes` behind is too slow, as is whoever is furthest behind when all
    have more waiting than they may `share`: `overflow` is called once, and nothing more is kept. A `Keeper`.
    `farewell`: the close code and the reason of whoever hung up.
    """

    def __init__(
        self,
        write: Callable[[bytes | str], Awaitable[None]],
        limit: int,
        limit_bytes: int,
        share: SharedBytes,
        overflow: Callable[[], None],
        write_at_once: Callable[[str], bool] = _never,
        skipped: Callable[[], None] = lambda: None,
    ) -> None:
        self._write = write
        self._write_at_once = write_at_once
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._share = share
        self._waiting_bytes = 0
        self._overflow = overflow
        self._skipped = skipped
        self._messages: OrderedDict[str | int, bytes | str] = OrderedDict()
        self._numbers = count()
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = False
        self.farewell: tuple[int, str] | None = None

    @property
    def kept_bytes(self) -> int:
        return self._waiting_bytes

    def send(self, payload: bytes | str, of: str | None = None) -> None:
        """`of`: the caption of which this is the newest revision. One that still waits is not written any more."""
        if self._closed or (self._empty.is_set() and isinstance(payload, str) and self._write_at_once(payload)):
            return
        key = next(self._numbers) if of is None else of
        waiting_bytes = self._waiting_bytes + len(payload) - self._skip(key)
        if len(self._messages) >= self._limit or waiting_bytes > self._limit_bytes:
            self.shed()
            return
        self._messages[key] = payload
        self._filled.set()
        self._empty.clear()
        self._waits(waiting_bytes)

    def shed(self) -> None:
        """Give this reader up."""
        self._closed = True
        self.forget()
        self._filled.set()
        self._overflow()

    def forget(self) -> None:
        """Nothing of what waits is written any more, and nobody waits for it."""
        self._messages.clear()
        self._empty.set()
        self._waits(0)

    async def written(self) -> None:
        """Wait until all that was sent so far is written."""
        await self._empty.wait()

    def close(self) -> None:
        """Nothing more comes; `run` returns once all is written."""
        self._closed = True
        self._filled.set()

    def hang_up(self, code: int, reason: str) -> None:
        """Nothing more comes: when `run` has returned, the connection is to be closed with this code and reason."""
        self.farewell = self.farewell or (code, reason)
        self.close()

    async def run(self) -> None:
        while True:
            while self._messages:
                _, payload = self._messages.popitem(last=False)
                self._waits(self._waiting_bytes - len(payload))
                await self._write(payload)
            self._empty.set()
            if self._closed:
                return
            self._filled.clear()
            await self._filled.wait()

    def _skip(self, key: str | int) -> int:
        """Take back what waits under a key; its length."""
        older = self._messages.pop(key, None)
        if older is None:
            return 0
        self._skipped()
        return len(older)

    def _waits(self, waiting_bytes: int) -> None:
        self._waiting_bytes = waiting_bytes
        self._share.changed(self)
