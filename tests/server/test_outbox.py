"""What waits to be sent on one connection: bounded, never waited for by who fills it."""

from __future__ import annotations

import asyncio

import pytest

from captions.server.outbox import Outbox


class Wire:
    """A connection that takes messages only while it `flows`."""

    def __init__(self) -> None:
        self.taken: list[bytes | str] = []
        self.flows = asyncio.Event()
        self.overflowed = 0

    async def write(self, payload: bytes | str) -> None:
        await self.flows.wait()
        self.taken.append(payload)

    def overflow(self) -> None:
        self.overflowed += 1


def outbox(limit: int = 10) -> tuple[Wire, Outbox]:
    wire = Wire()
    return wire, Outbox(wire.write, limit, wire.overflow)


async def test_everything_is_written_in_order() -> None:
    wire, box = outbox()
    wire.flows.set()
    box.send("a")
    box.send(b"b")
    running = asyncio.create_task(box.run())
    await box.written()
    assert wire.taken == ["a", b"b"]
    box.send("c")
    await box.written()
    assert wire.taken == ["a", b"b", "c"]
    box.close()
    await running


async def test_a_closed_outbox_writes_what_is_left_and_takes_nothing_more() -> None:
    wire, box = outbox()
    box.send("a")
    box.close()
    box.send("b")
    wire.flows.set()
    await box.run()
    assert wire.taken == ["a"]


async def test_written_waits_for_the_message_on_its_way() -> None:
    wire, box = outbox()
    running = asyncio.create_task(box.run())
    box.send("a")
    written = asyncio.create_task(box.written())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not written.done()
    wire.flows.set()
    await written
    assert wire.taken == ["a"]
    box.close()
    await running


async def test_nothing_sent_is_written_already() -> None:
    _, box = outbox()
    await box.written()


async def test_too_slow_a_reader_overflows_once_and_nothing_more_is_kept() -> None:
    wire, box = outbox(limit=2)
    for payload in "abcdefg":
        box.send(payload)
    assert wire.overflowed == 1
    wire.flows.set()
    await box.run()
    assert wire.taken == []


async def test_as_many_as_the_limit_may_wait() -> None:
    wire, box = outbox(limit=3)
    for payload in "abc":
        box.send(payload)
    assert wire.overflowed == 0
    box.close()
    wire.flows.set()
    await box.run()
    assert wire.taken == ["a", "b", "c"]


async def test_an_overflow_in_mid_write_lets_nobody_wait_for_ever() -> None:
    wire, box = outbox(limit=1)
    running = asyncio.create_task(box.run())
    box.send("a")
    await asyncio.sleep(0)
    box.send("b")
    box.send("c")
    wire.flows.set()
    await running
    await box.written()
    assert (wire.overflowed, wire.taken) == (1, ["a"])


async def test_an_error_of_the_wire_reaches_who_runs() -> None:
    async def broken(payload: bytes | str) -> None:
        raise ConnectionError

    box = Outbox(broken, 10, lambda: None)
    box.send("a")
    with pytest.raises(ConnectionError):
        await box.run()
