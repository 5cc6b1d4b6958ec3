"""The page to try the service: history, settings, languages, latency; its weight and its manners."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from bench.browser.measures import steadiness, weight
from bench.servers.room_server import RoomServer
from captions.doors.native.messages import Participant
from tests.overlay.screen import Screen

NOON = 1_700_000_000.0
BRUNO = Participant("bruno", "Bruno <b>")
PEOPLE = [Participant(name) for name in ("alice", "bruno", "chloe", "david")]
EACH_FRAME = """
  const Native = WebSocket;
  window.frames = [];
  window.WebSocket = class extends Native {
    constructor(...rest) {
      super(...rest);
      this.addEventListener("message", ({ data }) => {
        const { type, text } = JSON.parse(data);
        if (type !== "segment") return;
        requestAnimationFrame(() => {
          const lines = document.querySelector("live-captions").shadowRoot.querySelectorAll(".line");
          window.frames.push([text, [...lines].map((line) => line.textContent).join(" ")]);
        });
      });
    }
  };
"""
"""Keeps what each segment says, and what stands on the page in the first frame after it came."""


async def three_said(screen: Screen) -> None:
    """Two people have said three things, a second apart."""
    await screen.open(path="/")
    screen.say("It was the best of times.", segment="a", final=True, start=1.0, word_latency=400.0)
    screen.say("C’était le pire & le meilleur.", segment="b", final=True, start=2.0, who=BRUNO, word_latency=300.0)
    screen.say("It was the age of wisdom.", segment="c", final=True, start=3.0, word_latency=200.0)
    await expect(screen.page.locator(".said p")).to_have_count(3)


async def saved(page: Page, form: str) -> str:
    """What the button of that name downloads."""
    async with page.expect_download() as download:
        await page.get_by_role("button", name=form.upper()).click()
    value = await download.value
    assert value.suggested_filename.endswith(f".{form}")
    return _text(await value.path())


def _text(path: str | Path) -> str:
    return Path(path).read_text(encoding="utf-8")


async def test_history_names_the_speaker_at_each_change(screen: Screen) -> None:
    await three_said(screen)
    screen.say("And more.", segment="d", final=True)
    await expect(screen.page.locator(".said b")).to_have_text(["Alice", "Bruno <b>", "Alice"])


async def test_late_segments_take_their_place_in_history(screen: Screen) -> None:
    await screen.open(path="/")
    screen.say("One.", segment="a", final=True, said_at=NOON)
    screen.say("Three.", segment="b", final=True, said_at=NOON + 2.5)
    screen.say("Two.", segment="c", final=True, who=BRUNO, said_at=NOON + 2)
    await expect(screen.page.locator(".said p")).to_have_text(["One.", "Two.", "Three."])


async def test_history_is_searched_without_regard_to_case_and_accents(screen: Screen) -> None:
    await three_said(screen)
    search = screen.page.get_by_role("searchbox")
    await search.fill("ETAIT")
    await expect(screen.page.locator(".said p")).to_have_text(["C’était le pire & le meilleur."])
    await expect(screen.page.locator("mark")).to_have_text(["était"])
    await search.fill("nowhere")
    await expect(screen.page.locator(".nothing")).to_have_text("Nothing like this was said.")
    await search.fill("")
    await expect(screen.page.locator(".said p")).to_have_count(3)


async def test_history_shows_a_part_and_goes_back_on_demand(screen: Screen) -> None:
    await screen.open(path="/")
    for number in range(200):
        screen.say(f"Number {number}.", segment=f"{number:04}", final=True)
    said = screen.page.locator(".said p")
    await expect(said).to_have_count(150)
    await expect(said.last).to_be_in_viewport()
    await screen.page.get_by_role("button", name="Show earlier").click()
    await expect(said).to_have_count(200)
    await expect(said.first).to_have_text("Number 0.")


async def test_history_is_copied_with_its_speakers(screen: Screen, context: BrowserContext) -> None:
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    await three_said(screen)
    await screen.page.get_by_role("button", name="Copy").click()
    await expect(screen.page.get_by_role("status").filter(has_text="Copied")).to_be_visible()
    copied = await screen.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines() == [
        "Alice: It was the best of times.",
        "Bruno <b>: C’était le pire & le meilleur.",
        "Alice: It was the age of wisdom.",
    ]


@pytest.mark.parametrize("from_server", [False, True])
async def test_history_is_saved_as_webvtt_srt_and_text(screen: Screen, from_server: bool) -> None:
    await three_said(screen)
    if from_server:
        await screen.page.get_by_label("from the server").check()
    vtt = await saved(screen.page, "vtt")
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.")
    assert "<v Bruno &lt;b&gt;>C’était le pire &amp; le meilleur.\n" in vtt
    srt = await saved(screen.page, "srt")
    assert re.search(
        r"^2\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\nBruno <b>: C’était le pire & le meilleur.\n$", srt, re.M
    )
    assert (await saved(screen.page, "txt")).splitlines()[0] == "Alice: It was the best of times."


async def test_settings_change_the_captions_and_outlive_a_reload(screen: Screen) -> None:
    await screen.open(path="/")
    screen.say("It was")
    page = screen.page
    await page.get_by_role("button", name="Settings").click()
    await page.get_by_label("Colours").select_option("light")
    await page.get_by_label("Lines").fill("3")
    await page.get_by_label("Position").select_option("top")
    await page.get_by_label("Speakers’ names").uncheck()
    await expect(screen.stage).to_have_class(re.compile("light top center nameless"))
    await expect(screen.blocks.locator(".name")).not_to_be_visible()
    await page.get_by_role("button", name="Done").click()
    await page.reload()
    await expect(screen.stage).to_have_class(re.compile("light top center nameless"))
    await page.get_by_role("button", name="Settings").click()
    await expect(page.get_by_label("Lines")).to_have_value("3")
    await page.get_by_role("button", name="Reset").click()
    await expect(screen.stage).to_have_class("stage dark bottom center")


async def test_another_room_is_entered_from_the_settings(screen: Screen) -> None:
    await three_said(screen)
    page = screen.page
    await page.get_by_role("button", name="Settings").click()
    screen.room = "elsewhere"
    await page.get_by_label("Room").fill(screen.room)
    await page.get_by_label("Room").press("Enter")
    await expect(page.locator(".said p")).to_have_count(0)
    await screen.watched()
    screen.say("Somewhere else", segment="z")
    await screen.shows("Somewhere else")


async def test_the_overlay_is_set_by_its_query(screen: Screen) -> None:
    await screen.open(
        "&size=30&lines=1&position=top&background=90&names=0&theme=yellow&lang=fr&junk=1&speakers=99&linger=auto"
    )
    screen.say("It was")
    await expect(screen.stage).to_have_class(re.compile("yellow top center nameless"))
    options = await screen.evaluate("document.querySelector('live-captions').options")
    assert options == {
        "size": 30,
        "lines": 1,
        "speakers": 4,
        "position": "top",
        "align": "center",
        "background": 90,
        "names": False,
        "theme": "yellow",
        "font": "",
        "outline": False,
        "linger": "auto",
        "notices": True,
        "motion": "auto",
        "announce": False,
        "lang": "fr",
    }
    assert await screen.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"


@pytest.mark.parametrize(("locale", "lang", "title"), [("fr-CA", "fr", "Historique"), ("de", "en", "History")])
async def test_the_page_speaks_the_browsers_language_and_can_be_switched(
    browser: Browser, server: RoomServer, locale: str, lang: str, title: str
) -> None:
    context = await browser.new_context(locale=locale)
    try:
        page = await context.new_page()
        await page.goto(server.url)
        await expect(page.locator("html")).to_have_attribute("lang", lang)
        await expect(page.locator("#history-title")).to_have_text(title)
        other = "English" if lang == "fr" else "Français"
        await page.get_by_role("button", name=other).click()
        await expect(page.locator("#history-title")).to_have_text("History" if lang == "fr" else "Historique")
        await page.reload()
        await expect(page.locator("#history-title")).to_have_text("History" if lang == "fr" else "Historique")
    finally:
        await context.close()


async def test_a_streamer_sets_size_font_side_outline_and_keeps_notices_off_the_air(screen: Screen) -> None:
    await screen.open("&size=96&font=Georgia,serif&align=left&outline=1&notices=false&lines=1")
    screen.say("On air")
    await screen.shows("On air")
    await expect(screen.lines.first).to_have_css("font-size", "96px")
    await expect(screen.lines.first).to_have_css("font-family", "Georgia, serif")
    await expect(screen.lines.first).to_have_css("paint-order", "stroke")
    await expect(screen.blocks.locator(".band")).to_have_css("background-color", "rgba(0, 0, 0, 0)")
    block, stage = await screen.blocks.bounding_box(), await screen.stage.bounding_box()
    assert block is not None
    assert stage is not None
    assert block["x"] == stage["x"]
    await screen.evaluate("() => dispatchEvent(new Event('offline'))")
    await expect(screen.notice).to_have_text("Connection lost. Reconnecting…")
    await expect(screen.notice).not_to_be_visible()


async def test_obs_puts_its_own_css_on_the_overlay_and_nobody_on_the_page(screen: Screen) -> None:
    css = "live-captions::part(line) { color: rgb(1, 2, 3) }"
    inject = "(css) => document.head.append(Object.assign(document.createElement('style'), { textContent: css }))"
    for path, colour in (("/overlay", "rgb(1, 2, 3)"), ("/", "rgb(255, 255, 255)")):
        await screen.open(path=path)
        await screen.evaluate(inject, css)
        screen.say("Styled", segment=path)
        await expect(screen.lines.last).to_have_css("color", colour)


async def test_captions_stay_until_replaced_if_the_reader_wants(screen: Screen) -> None:
    await screen.page.clock.install()
    await screen.open("&linger=replaced")
    screen.say("First.", segment="a", final=True)
    await screen.shows("First.")
    await screen.page.clock.run_for(9_000)
    await screen.shows("First.")
    await screen.page.clock.run_for(9_000)
    await screen.shows("First.")


async def test_the_links_lead_to_this_room_as_it_looks(screen: Screen) -> None:
    await screen.open(path="/")
    page = screen.page
    assert "room=" in page.url
    await page.get_by_role("button", name="Settings").click()
    await page.get_by_label("Colours").select_option("yellow")
    await page.get_by_label("Alignment").select_option("right")
    preview = page.locator(".preview .line")
    await expect(preview).to_have_text("This is how captions look.")
    await expect(preview).to_have_css("color", "rgb(255, 236, 64)")
    await page.get_by_role("button", name="Done").click()
    await page.get_by_role("button", name="Links").click()
    overlay = await page.get_by_label("Captions alone, for OBS or a frame").input_value()
    large = await page.get_by_label("Its transcript, large, for a second screen").input_value()
    await page.goto(overlay)
    await screen.watched()
    screen.say("It was the best of times.", segment="a", final=True)
    await screen.shows("It was the best of times.")
    await expect(screen.stage).to_have_class(re.compile("yellow bottom right"))
    await page.goto(large)
    await expect(page.locator(".said p")).to_have_text("It was the best of times.")
    await expect(page.locator("header")).not_to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("header")).to_be_visible()


async def test_history_is_read_in_the_chosen_size_and_the_screen_stays_awake(screen: Screen) -> None:
    await screen.page.add_init_script(
        """window.awake = [];
        navigator.wakeLock.request = async (what) => { window.awake.push(what); return new EventTarget(); };"""
    )
    await screen.page.add_init_script("localStorage.setItem('captions.options', JSON.stringify({ size: 44 }))")
    await screen.open("&view=large", path="/")
    screen.say("Large.", final=True)
    await expect(screen.page.locator(".said p")).to_have_css("font-size", "44px")
    await screen.page.get_by_role("button", name="Large").click()
    await expect(screen.page.locator(".said p")).to_have_css("font-size", "32px")
    assert await screen.evaluate("window.awake") == ["screen"]


async def test_latency_is_drawn_with_its_parts(screen: Screen) -> None:
    await screen.open(path="/")
    for number, latency in enumerate((400.0, 500.0, 900.0)):
        screen.say("one two three"[: 3 + 5 * number], segment="a", word_latency=latency)
    await expect(screen.page.locator(".figures")).to_have_text("median 500 ms · p95 900 ms")
    await expect(screen.page.locator(".legend dt")).to_have_count(6)
    dots = await screen.page.locator("path.dots").get_attribute("d")
    assert dots is not None
    assert dots.count("M") == 3


async def test_pages_weigh_little_and_ask_nobody_else(browser: Browser, server: RoomServer) -> None:
    found = await weight(browser, server)
    assert found.foreign == ()
    assert found.page_bytes <= 64_000
    assert found.overlay_bytes <= 48_000
    assert found.everything_bytes <= 128_000


async def test_nothing_on_the_page_breaks_its_content_security_policy(screen: Screen) -> None:
    refused: list[str] = []
    screen.page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
    await three_said(screen)
    await screen.page.get_by_role("button", name="Settings").click()
    await expect(screen.page.get_by_role("dialog")).to_be_visible()
    await expect(screen.page.locator(".figures")).to_be_visible()
    assert refused == []


async def test_captions_are_on_the_page_in_the_frame_after_they_came(screen: Screen) -> None:
    await screen.page.add_init_script(EACH_FRAME)
    await screen.open("&size=14")
    words = ["It", "was", "the", "best", "of", "times", "it", "was", "the", "worst", "of", "times"]
    for number in range(1, len(words) + 1):
        for who in PEOPLE:
            screen.say(" ".join(words[:number]), segment=who.id, who=who)
    await expect(screen.lines.filter(has_text="worst of times")).to_have_count(len(PEOPLE))
    frames = await screen.evaluate("window.frames")
    assert len(frames) == len(words) * len(PEOPLE)
    assert [said for said, shown in frames if said not in shown] == []


async def test_nothing_that_was_read_shifts(browser: Browser, server: RoomServer) -> None:
    found = await steadiness(browser, server, 0.5)
    assert found.looks > 2_000
    assert (found.shift, found.moved) == (0, 0)
