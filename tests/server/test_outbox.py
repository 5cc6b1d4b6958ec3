"""What waits to be sent on one connection: bounded, never waited for by who fills it."""

from __future__ import annotations

import asyncio

import pytest

from captions.doors.shared_bytes import SharedBytes
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
    return wire, Outbox(wire.write, limit, 1_000, SharedBytes(1_000), wire.overflow)


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

    box = Outbox(broken, 10, 1_000, SharedBytes(1_000), lambda: None)
    box.send("a")
    with pytest.raises(ConnectionError):
        await box.run()


async def test_too_many_bytes_overflow_as_too_many_messages_do() -> None:
    wire, share = Wire(), SharedBytes(1_000)
    box = Outbox(wire.write, 10, 8, share, wire.overflow)
    box.send("aaaa")
    box.send(b"bbbb")
    assert (wire.overflowed, share.total) == (0, 8)
    box.send("c")
    assert (wire.overflowed, share.total) == (1, 0)


async def test_when_all_together_have_too_much_waiting_the_one_furthest_behind_is_dropped() -> None:
    share = SharedBytes(10)
    slow, other = Wire(), Wire()
    slow_box, other_box = (Outbox(wire.write, 10, 100, share, wire.overflow) for wire in (slow, other))
    slow_box.send("s" * 8)
    other_box.send("ooo")
    assert (slow.overflowed, other.overflowed, share.total) == (1, 0, 3)
    other.flows.set()
    other_box.close()
    await other_box.run()
    assert (other.taken, share.total) == (["ooo"], 0)


async def test_who_hangs_up_is_written_to_before_the_farewell() -> None:
    wire, box = outbox()
    wire.flows.set()
    box.send("last")
    box.hang_up(1000, "done")
    box.hang_up(1011, "too late")
    box.send("nothing more")
    await box.run()
    assert (wire.taken, box.farewell) == (["last"], (1000, "done"))


async def test_nobody_waits_for_what_is_forgotten() -> None:
    _, box = outbox()
    box.send("a")
    waiting = asyncio.create_task(box.written())
    await asyncio.sleep(0)
    box.forget()
    await waiting


async def test_a_newer_revision_takes_the_place_of_one_that_waits_behind_what_was_sent_meanwhile() -> None:
    wire, share = Wire(), SharedBytes(1_000)
    box = Outbox(wire.write, 3, 9, share, wire.overflow)
    for payload, of in (("a1", "a"), ("b1", "b"), ("note", None), ("a22", "a"), ("a", "a")):
        box.send(payload, of)
        assert share.total <= 9
    assert wire.overflowed == 0
    wire.flows.set()
    box.close()
    await box.run()
    assert (wire.taken, share.total) == (["b1", "note", "a"], 0)


async def test_texts_are_written_at_once_until_one_has_to_wait() -> None:
    wire, at_once, takes = Wire(), list[str](), [True, True, False]

    def write_at_once(payload: str) -> bool:
        if taken := takes.pop(0):
            at_once.append(payload)
        return taken

    box = Outbox(wire.write, 10, 1_000, SharedBytes(1_000), wire.overflow, write_at_once)
    for payload in ("a", "b", "c", "d", "e"):
        box.send(payload)
    box.send(b"bytes")
    wire.flows.set()
    running = asyncio.create_task(box.run())
    await box.written()
    assert (at_once, wire.taken) == (["a", "b"], ["c", "d", "e", b"bytes"])
    takes.append(True)
    box.send("f")
    box.close()
    await running
    assert (at_once, wire.taken[4:]) == (["a", "b", "f"], [])
