"""Tasks end for certain."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from captions.rooms.ending import end


async def test_a_task_that_keeps_a_cancellation_to_itself_is_ended_by_the_next() -> None:
    kept: list[str] = []

    async def ask() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        kept.append("the first")
        await asyncio.sleep(60)

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError

    tasks = [asyncio.create_task(ask()), asyncio.create_task(fail())]
    await asyncio.sleep(0.001)
    async with asyncio.timeout(30):
        await end(tasks)
    assert kept == ["the first"]
    assert all(task.done() for task in tasks)


async def test_without_tasks_there_is_nothing_to_end() -> None:
    await end([])
