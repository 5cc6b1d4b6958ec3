"""How tasks that ask Redis come to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

__all__ = ["end"]

_AGAIN_S = 0.5


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for them.

    The redis package now and then keeps a cancellation to itself, so a task that goes on is cancelled again.
    """
    pending = set(tasks)
    ending = asyncio.gather(*pending, return_exceptions=True)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_S)
    await ending
