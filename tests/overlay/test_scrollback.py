"""Captions scrolled back: what rolled away is read again, by wheel, key, finger or button, and then live ones."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Locator, expect

from bench.servers.room_server import RoomServer
from captions.doors.native.messages import Participant
from tests.overlay.screen import Screen
from tests.overlay.test_access import BRUNO, THEMES, violations

PEOPLE = (Participant("alice", "Alice"), BRUNO)


def pane(screen: Screen) -> Locator:
    return screen.page.get_by_role("group", name="What was said").and_(screen.page.locator(".pane"))


def back(screen: Screen) -> Locator:
    return screen.page.get_by_role("button", name="Read back")


async def talk(screen: Screen, first: int = 0, last: int = 30) -> None:
    """Two people in turn, a sentence each; the last of it has been seen."""
    for number in range(first, last):
        screen.say(f"Sentence number {number}.", segment=f"{number:04}", final=True, who=PEOPLE[number % 2])
    await expect(screen.lines.last).to_be_visible()
    await expect(screen.lines.filter(has_text=f"number {last - 1}.")).to_be_visible()


async def go_back_by_key(screen: Screen) -> None:
    await screen.page.keyboard.press("Tab")
    await expect(back(screen)).to_be_focused()
    await expect(back(screen)).to_have_css("clip-path", "none")
    await screen.page.keyboard.press("ArrowUp")
    await expect(pane(screen)).to_be_focused()


async def scroll_by_wheel(screen: Screen, by: int) -> None:
    """Once the pointer is over captions, the code for it comes; a reader's wheel turns more than once as well."""
    await screen.blocks.first.locator(".band").hover()
    await screen.evaluate("import('/overlay/scrollback.js').then(() => new Promise(requestAnimationFrame))")
    await screen.page.mouse.wheel(0, by)


async def test_a_wheel_brings_back_what_rolled_away_and_live_captions_at_the_end(screen: Screen) -> None:
    await screen.open("&motion=reduced")
    await talk(screen)
    await scroll_by_wheel(screen, -300)
    await expect(pane(screen)).to_be_visible()
    await expect(screen.blocks.first).not_to_be_visible()
    await expect(pane(screen).locator("p").last).to_have_text("BrunoSentence number 29.")
    await expect(pane(screen).get_by_text("Sentence number 22.")).to_be_in_viewport()
    read = pane(screen).get_by_text("Sentence number 22.")
    before = await read.bounding_box()
    screen.say("And this is new.", segment="0030", final=True)
    await expect(pane(screen).locator("p").last).to_have_text("AliceAnd this is new.")
    assert await read.bounding_box() == before
    await screen.page.mouse.wheel(0, 5_000)
    await expect(pane(screen)).to_have_count(0)
    await expect(screen.lines.filter(has_text="And this is new.")).to_be_visible()


async def test_of_a_long_speech_under_way_the_beginning_is_read_again(screen: Screen) -> None:
    await screen.open()
    speech = "It was the season of Light, it was the season of Darkness, it was the spring of hope, it was the winter"
    screen.say(speech)
    await expect(screen.lines.last).to_contain_text("winter")
    await expect(screen.lines.filter(has_text="season of Light")).not_to_be_in_viewport()
    await scroll_by_wheel(screen, -50)
    await expect(pane(screen).locator("p")).to_have_text([f"Alice{speech}"])
    screen.say(f"{speech} of despair.", final=True)
    await expect(pane(screen).locator("p")).to_have_text([f"Alice{speech} of despair."])
    await screen.page.get_by_role("button", name="Back to live").click()
    await expect(pane(screen)).to_have_count(0)
    await expect(screen.lines.last).to_contain_text("despair.")


async def test_keys_go_back_and_escape_leads_to_where_one_was(screen: Screen) -> None:
    await screen.open()
    await talk(screen)
    await go_back_by_key(screen)
    await expect(pane(screen).get_by_text("Sentence number 29.")).not_to_be_in_viewport()
    await screen.page.keyboard.press("Home")
    await expect(pane(screen).get_by_text("Sentence number 0.")).to_be_in_viewport()
    await screen.page.keyboard.press("Escape")
    await expect(pane(screen)).to_have_count(0)
    await expect(back(screen)).to_be_focused()
    await screen.page.keyboard.press("Enter")
    await expect(pane(screen)).to_be_focused()
    await screen.page.keyboard.press("End")
    await expect(pane(screen)).to_have_count(0)


async def test_a_finger_drags_the_captions_back(browser: Browser, server: RoomServer) -> None:
    context = await browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, locale="en-GB"
    )
    screen = Screen(await context.new_page(), server, room="a finger")
    await screen.open("&linger=replaced")
    await talk(screen)
    await screen.blocks.first.locator(".band").tap()
    await screen.evaluate("import('/overlay/scrollback.js').then(() => new Promise(requestAnimationFrame))")
    box = await screen.blocks.first.locator(".band").bounding_box()
    assert box is not None
    finger = await context.new_cdp_session(screen.page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, down in (("touchStart", 0), ("touchMove", 20), ("touchMove", 60), ("touchMove", 90), ("touchEnd", None)):
        points = [] if down is None else [{"x": x, "y": y + down}]
        await finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    await expect(pane(screen)).to_be_visible()
    assert await screen.evaluate("scrollY") == 0
    live = screen.page.get_by_role("button", name="Back to live")
    button, said = await live.bounding_box(), await pane(screen).bounding_box()
    assert button is not None
    assert said is not None
    assert button["y"] >= said["y"] + said["height"], "it stands on no word"
    await live.tap()
    await expect(pane(screen)).to_have_count(0)
    await context.close()


async def test_it_goes_far_back_and_nothing_jumps_while_more_is_drawn(screen: Screen) -> None:
    await screen.open()
    await talk(screen, last=120)
    await go_back_by_key(screen)
    said = pane(screen).locator("p")
    await expect(said).to_have_count(50)
    move = """(pane) => {
      pane.scrollTop = pane.clientHeight;
      return pane.children[10].getBoundingClientRect().top;
    }"""
    before = await pane(screen).evaluate(move)
    await expect(said).to_have_count(100)
    after = await pane(screen).evaluate("(pane) => pane.children[60].getBoundingClientRect().top")
    assert after == pytest.approx(before, abs=1)


async def test_who_reads_no_more_has_live_captions_again(screen: Screen) -> None:
    await screen.page.clock.install()
    await screen.open("&linger=replaced")
    await talk(screen)
    await scroll_by_wheel(screen, -300)
    await screen.page.clock.run_for(50_000)
    await expect(pane(screen)).to_be_visible()
    await screen.page.clock.run_for(60_000)
    await expect(pane(screen)).to_have_count(0)
    await expect(screen.blocks.first).to_be_visible()


async def test_on_air_nothing_of_it_is_seen_or_focused(screen: Screen) -> None:
    asked: list[str] = []
    screen.page.on("request", lambda request: asked.append(request.url))
    await screen.open()
    await expect(back(screen)).not_to_be_visible()
    await talk(screen)
    await expect(back(screen)).not_to_be_in_viewport(ratio=0.9)
    assert not any("scrollback" in url for url in asked)
    await screen.open("&notices=false")
    await talk(screen, 30, 32)
    await screen.page.keyboard.press("Tab")
    assert await screen.evaluate("document.activeElement === document.body")


async def test_captions_are_scrolled_back_though_the_server_has_gone(screen: Screen) -> None:
    await screen.open(path="/")
    async with screen.page.expect_event("requestfinished", lambda request: request.url.endswith("/scrollback.js")):
        await talk(screen)
    await screen.page.context.set_offline(True)
    await scroll_by_wheel(screen, -200)
    await expect(pane(screen)).to_be_visible()


@pytest.mark.parametrize("theme", THEMES)
async def test_axe_finds_nothing_in_captions_scrolled_back(screen: Screen, theme: str) -> None:
    await screen.open(f"&theme={theme}")
    await talk(screen)
    await scroll_by_wheel(screen, -100)
    await expect(pane(screen)).to_be_visible()
    assert await violations(screen) == []


async def test_in_forced_colours_what_is_read_again_has_the_readers_own(screen: Screen) -> None:
    await screen.page.emulate_media(forced_colors="active")
    await screen.open()
    await talk(screen)
    await scroll_by_wheel(screen, -100)
    colours = "(name) => [name, name.parentNode].map((node) => getComputedStyle(node).color)"
    name, said = await pane(screen).locator("b").first.evaluate(colours)
    assert name == said
    assert await violations(screen) == []
