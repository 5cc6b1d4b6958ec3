"""What a reader is told of captions that are not there: lost speech, a dead service, what was said before."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Browser, Page, expect

from bench.servers.room_server import RoomServer
from captions.config import RoomsConfig
from captions.doors.native.messages import Participant
from tests.overlay.relay import Relay
from tests.overlay.screen import Screen
from tests.overlay.test_page import NOON, saved

BRUNO = Participant("bruno", "Bruno")
PLACES = "entries => entries.map((e) => [e.textContent, e.getBoundingClientRect().top])"


async def test_lost_speech_is_seen_where_it_would_stand_and_as_long_as_it_is(screen: Screen) -> None:
    await screen.open()
    screen.say("I begin", segment="a")
    screen.lose(1.0, who=BRUNO)
    await screen.shows("I begin", "[not captioned: 1 s]")
    screen.lose(12.4, who=BRUNO)
    await screen.shows("I begin", "[not captioned: 12 s]")
    await expect(screen.blocks.locator(".name")).to_have_text(["Alice", "Bruno"])


async def test_lost_speech_is_in_the_history_and_in_files(screen: Screen) -> None:
    await screen.open("&", path="/")
    page = screen.page
    screen.say("Before.", segment="a", final=True, said_at=NOON)
    screen.say("After.", segment="c", final=True, said_at=NOON + 60)
    screen.lose(1.0, said_at=NOON + 5)
    screen.lose(55.6, said_at=NOON + 5)
    await expect(page.locator(".said p")).to_have_text(["Before.", "[not captioned: 56 s]", "After."])
    lines = ["Alice: Before.", "Alice: [not captioned: 56 s]", "Alice: After."]
    assert (await saved(page, "txt")).splitlines() == lines
    await page.get_by_label("from the server").check()
    assert (await saved(page, "txt")).splitlines() == lines
    await page.get_by_role("button", name="Français").click()
    await expect(page.locator(".said .missing")).to_have_text("[non sous-titré : 56 s]")
    assert (await saved(page, "txt")).splitlines()[1] == "Alice: [non sous-titré : 56 s]"


async def test_a_late_reader_finds_lost_speech_in_the_history_and_not_as_if_it_were_now(screen: Screen) -> None:
    screen.say("Long ago.", segment="a", final=True)
    screen.lose(7.0)
    await screen.open(path="/")
    await expect(screen.page.locator(".said p")).to_have_text(["Long ago.", "[not captioned: 7 s]"])
    assert await screen.blocks.count() == 0


async def test_a_service_that_hangs_is_told_from_silence(
    page: Page, server: RoomServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its heart beats every half second here instead of every ten, and nobody speaks for five at first."""
    monkeypatch.setattr("captions.server.connections._HEARTBEAT_S", 0.5)
    lost: list[str] = []
    async with Relay(server.url).running() as relay:
        await page.clock.install(time=NOON)
        await page.clock.pause_at(NOON + 1)
        async with page.expect_websocket() as opened:
            await page.goto(f"{relay.url}/overlay?room=hangs")
        socket = await opened.value
        screen = Screen(page, server, "hangs")
        await screen.watched()
        await page.expose_function("lost", lambda state: lost.append(state))
        await page.evaluate(
            """() => document.querySelector("live-captions").addEventListener(
                "connection", ({ detail }) => window.lost(detail.state))"""
        )
        for _ in range(6):
            await socket.wait_for_event("framereceived")
            await screen.pass_time(400)
        assert lost == []
        relay.stall()
        await screen.pass_time(1_200)
        await expect(screen.notice).to_have_text("Connection lost. Reconnecting…")
        relay.go_on()
        # Time passes no faster than the server lives: a page that is ahead of it misses heartbeats.
        while not re.search(r"Captions were interrupted for \d s", await screen.notice.inner_text()):
            await asyncio.sleep(0.1)
            await screen.pass_time(100)
        screen.say("Here again")
        await screen.shows("Here again")


async def test_who_comes_late_finds_the_whole_meeting_with_its_times(browser: Browser, server: RoomServer) -> None:
    """2,500 segments: more than the server sends on joining, more than either kept before."""
    context = await browser.new_context(locale="en-GB", timezone_id="UTC")
    screen = Screen(await context.new_page(), server, "long meeting")
    for number in range(2_500):
        screen.say(f"Number {number}.", segment=f"{number:05}", final=True, said_at=NOON + number * 2)
    await screen.open(path="/")
    said = screen.page.locator(".said p")
    await expect(screen.page.get_by_role("button", name="Show earlier")).to_be_visible()
    await expect(said.last).to_have_text("Number 2499.")
    vtt = await saved(screen.page, "vtt")
    assert vtt.count(" --> ") == 2_500
    assert "01:23:18.000 --> 01:23:19.000\n<v Alice>Number 2499." in vtt
    await screen.page.get_by_label("from the server").check()
    assert (await saved(screen.page, "vtt")).count(" --> ") == 2_500
    await screen.page.get_by_role("searchbox").fill("number 7.")
    await expect(screen.page.locator(".said li")).to_have_text(["Alice22:13:34Number 7."])
    await context.close()


async def test_what_is_not_kept_is_said(page: Page) -> None:
    async with RoomServer(rooms=RoomsConfig(history_segments=5, transcript_segments=64)) as server:
        screen = Screen(page, server, "forgetful")
        for number in range(200):
            screen.say(f"Number {number}.", segment=f"{number:05}", final=True, said_at=NOON + number * 2)
        await screen.open(path="/")
        await expect(page.locator(".said p")).to_have_count(64)
        await expect(page.locator(".forgotten")).to_have_text("136 earlier captions are no longer kept.")


async def test_a_time_is_shown_each_minute_and_the_same_to_everybody(browser: Browser, server: RoomServer) -> None:
    context = await browser.new_context(locale="en-GB", timezone_id="UTC")
    early = await Screen(await context.new_page(), server, "clock").open(path="/")
    for name, second in zip("abcde", (0, 20, 39, 41, 110), strict=True):
        early.say(f"At {second}.", segment=name, final=True, said_at=NOON + second)
    late = await Screen(await context.new_page(), server, "clock").open(path="/")
    for screen in (early, late):
        await expect(screen.page.locator(".said li")).to_have_text(
            ["Alice22:13:20At 0.", "At 20.", "At 39.", "22:14:01At 41.", "22:15:10At 110."]
        )
    await late.page.get_by_role("searchbox").fill("at 3")
    await expect(late.page.locator(".said li")).to_have_text(["Alice22:13:59At 39."])
    await context.close()


async def test_history_holds_still_while_one_reads_further_up(screen: Screen) -> None:
    await screen.open(path="/")
    for number in range(160):
        screen.say(f"Number {number}.", segment=f"{number:04}", final=True, said_at=NOON + number)
    said = screen.page.locator(".said li")
    await expect(said.last).to_have_text(re.compile("Number 159"))
    await screen.page.locator(".scroll").evaluate("(scroll) => scroll.scrollTop = 400")
    before = dict(await said.evaluate_all(PLACES))
    screen.say("Late, and above all this.", segment="late", who=BRUNO, final=True, said_at=NOON + 11.5)
    for number in range(160, 200):
        screen.say(f"Number {number}.", segment=f"{number:04}", final=True, said_at=NOON + number)
    await expect(said.last).to_have_text(re.compile("Number 199"))
    after = dict(await said.evaluate_all(PLACES))
    seen = [text for text, top in before.items() if text in after and 300 < top < 600]
    assert len(seen) > 5
    assert {text: round(after[text]) for text in seen} == {text: round(before[text]) for text in seen}
