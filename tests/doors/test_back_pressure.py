"""Holding a sender back: what is pending is counted over both places where it waits, and the wait always ends."""

from __future__ import annotations

import asyncio

from captions.doors.back_pressure import BackPressure, WaitingAudio

MOST = 10_000


class Sender:
    """A track whose sender remembers whether it was held."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.waiting = WaitingAudio(MOST)
        self.pressure = BackPressure(
            self.waiting, lambda: MOST, lambda: self.told.append("hold"), lambda: self.told.append("release")
        )

    async def waits(self) -> asyncio.Task[None]:
        """A wait for room that has begun."""
        waiting = asyncio.create_task(self.pressure.room())
        await asyncio.sleep(0)
        return waiting


def test_pending_audio_is_what_was_sent_and_neither_taken_in_nor_dealt_with() -> None:
    pressure = Sender().pressure
    pressure.sent(6_000)
    assert pressure.pending_samples == 6_000
    pressure.taken(4_000, pushed_to=3_840)
    assert pressure.pending_samples == 2_000 + 3_840
    pressure.dealt(1_920)
    assert pressure.pending_samples == 2_000 + 1_920
    pressure.taken(2_000, pushed_to=3_840)
    pressure.dealt(3_840)
    assert pressure.pending_samples == 0


def test_audio_dealt_with_before_it_was_told_is_not_pending() -> None:
    pressure = Sender().pressure
    pressure.sent(1_920)
    pressure.dealt(1_920)
    pressure.taken(1_920, pushed_to=1_920)
    assert pressure.pending_samples == 0


def test_a_track_is_full_only_past_its_bound() -> None:
    pressure = Sender().pressure
    pressure.sent(MOST)
    assert not pressure.is_full
    pressure.sent(1)
    assert pressure.is_full


async def test_a_sender_is_held_until_there_is_room_and_then_released_once() -> None:
    sender = Sender()
    sender.pressure.sent(MOST + 2_000)
    waiting = await sender.waits()
    assert (waiting.done(), sender.told) == (False, ["hold"])
    sender.pressure.taken(1_000, pushed_to=0)
    await asyncio.sleep(0)
    assert not waiting.done()
    sender.pressure.taken(1_000, pushed_to=0)
    await waiting
    assert sender.told == ["hold", "release"]


async def test_nobody_waits_for_a_track_that_is_gone() -> None:
    sender = Sender()
    sender.pressure.sent(MOST + 1)
    waiting = await sender.waits()
    sender.pressure.end()
    await waiting
    assert (sender.pressure.is_full, sender.told) == (False, ["hold", "release"])


def test_what_waits_of_all_tracks_is_counted_until_it_is_dealt_with_or_its_track_is_gone() -> None:
    waiting = WaitingAudio(MOST)
    one, other = (BackPressure(waiting, lambda: MOST, list, list) for _ in range(2))
    one.sent(MOST)
    other.sent(2_000)
    assert (waiting.samples, waiting.is_full) == (MOST + 2_000, True)
    one.taken(MOST, pushed_to=MOST)
    one.dealt(2_000)
    assert (waiting.samples, waiting.is_full) == (MOST, False)
    one.end()
    one.taken(0, pushed_to=2 * MOST)
    assert waiting.samples == 2_000
    other.end()
    assert waiting.samples == 0
