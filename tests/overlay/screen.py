"""The captions of one room as a reader has them before their eyes."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from playwright.async_api import Locator, Page, expect

from bench.servers.room_server import RoomServer
from captions.doors.native.messages import CaptionWord, Latency, Participant, Segment, Uncaptioned

__all__ = ["Screen"]

ALICE = Participant("alice", "Alice")
PATIENT = """try { localStorage["captions.options"] ??= '{"linger":"replaced"}' } catch {}"""
"""So that what is looked for is still there when a busy machine comes to look."""


class Screen:
    """`open` the overlay, `say` things in its room, look at `blocks` and `lines`."""

    def __init__(self, page: Page, server: RoomServer, room: str) -> None:
        self.page = page
        self.room = room
        self._server = server
        self._revision = 0
        self._said_at: dict[str, float] = {}

    @property
    def stage(self) -> Locator:
        return self.page.locator("live-captions:not(.preview) .stage")

    @property
    def blocks(self) -> Locator:
        return self.page.locator("live-captions:not(.preview) .block:not(.fading)")

    @property
    def lines(self) -> Locator:
        return self.page.locator("live-captions:not(.preview) .block:not(.fading) .line")

    @property
    def notice(self) -> Locator:
        return self.page.locator("live-captions:not(.preview) .notice")

    async def open(self, query: str = "", path: str = "/overlay") -> Screen:
        """Load the page and wait until it watches the room. Captions stay until replaced, unless `query` differs."""
        await self.page.add_init_script(PATIENT)
        await self.page.goto(f"{self._server.url}{path}?room={quote(self.room)}{query}")
        await self.watched()
        return self

    async def hold_time(self) -> None:
        """From now on, the page having been opened with its clock installed, time passes there by `pass_time` only."""
        await self.page.clock.pause_at(await self.evaluate("Date.now() / 1_000 + 1"))

    async def pass_time(self, for_ms: int) -> None:
        await self.page.clock.run_for(for_ms)

    async def watched(self) -> None:
        await expect(self.notice).to_have_text("")

    def say(
        self,
        text: str,
        tentative: str = "",
        *,
        segment: str = "a",
        final: bool = False,
        who: Participant = ALICE,
        revision: int | None = None,
        start: float = 1.0,
        word_latency: float | None = None,
        said_at: float | None = None,
    ) -> Segment:
        """Publish a revision: the words said so far and the guess at what follows.

        What is final is a guess first, as it mostly is: final segments that arrive with the room's history and were
        never seen before are not shown. `said_at`: when it was said, in seconds since 1970; now, unless told otherwise.
        """
        if final and text and segment not in self._said_at:
            self.say("", text, segment=segment, who=who, revision=-1, start=start, said_at=said_at)
        self._said_at.setdefault(segment, time.time() if said_at is None else said_at)
        self._revision += 1
        words = [CaptionWord(word, start + i * 0.3, start + (i + 1) * 0.3) for i, word in enumerate(text.split())]
        said = Segment(
            room=self.room,
            track=who.id,
            participant=who,
            id=segment,
            revision=self._revision if revision is None else revision,
            final=final,
            start=start,
            end=start + 0.3 * max(1, len(words)),
            text=text,
            words=words,
            latency=Latency(word_latency=word_latency),
            tentative=tentative,
            said_at=self._said_at[segment],
        )
        self._server.publish(said)
        return said

    def lose(self, length_s: float, *, gap: str = "g", who: Participant = ALICE, said_at: float | None = None) -> None:
        """Tell that so much of what somebody says is not captioned, so far."""
        self._said_at.setdefault(gap, time.time() if said_at is None else said_at)
        lost = Uncaptioned(self.room, who.id, who, gap, 1.0, 1.0 + length_s, "overload", self._said_at[gap])
        self._server.publish(lost)

    async def shows(self, *lines: str) -> None:
        """Wait until exactly these lines are seen, from the top."""
        await expect(self.lines).to_have_text(list(lines))

    async def evaluate(self, script: str, argument: Any = None) -> Any:
        return await self.page.evaluate(script, argument)
