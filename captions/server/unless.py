"""Waiting for something unless something else ends it."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["unless"]


async def unless(ended: asyncio.Task[Any], task: asyncio.Task[Any]) -> bool:
    """Wait for a task, raise what it raises. False: something `ended` first, and the task is cancelled."""
    try:
        await asyncio.wait((ended, task), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
            return True
        return False
    finally:
        task.cancel()
