"""WCAG 2.2 AA: axe finds nothing in any theme and language; keyboard, screen reader, zoom, small screens, contrast."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, expect

from bench.servers.room_server import RoomServer
from captions.doors.native.messages import Participant
from tests.overlay.screen import Screen

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
THEMES = ("dark", "light", "yellow", "contrast")
BRUNO = Participant("bruno", "Bruno")

CONTRAST = """async () => {
  const { PALETTES } = await import("/overlay/palette.js");
  const { OPTIONS } = await import("/overlay/options.js");
  const light = (channels) => channels
    .map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const channels = (colour) => colour.match(/[0-9a-f]{2}/g).map((pair) => parseInt(pair, 16));
  const band = { dark: 0, yellow: 0, contrast: 0, light: 255 };
  const ratios = {};
  for (const [theme, colours] of Object.entries(PALETTES)) {
    const through = theme === "contrast" ? 0 : 1 - OPTIONS.background.min / 100;
    const grey = band[theme] * (1 - through) + (255 - band[theme]) * through;
    const behind = light([grey, grey, grey]);
    const against = (colour) => {
      const text = light(channels(colour));
      return (Math.max(text, behind) + 0.05) / (Math.min(text, behind) + 0.05);
    };
    const stage = document.querySelector("live-captions").shadowRoot.querySelector(".stage");
    stage.className = `stage ${theme}`;
    const hex = (name) => getComputedStyle(stage).getPropertyValue(name);
    const ink = hex("--ink").split(" ").map((c) => Number(c).toString(16).padStart(2, "0")).join("");
    const quiet = hex("--quiet").slice(1);
    const texts = [...colours, ink, quiet.length === 3 ? [...quiet].map((c) => c + c).join("") : quiet];
    ratios[theme] = Math.min(...texts.map(against));
  }
  return ratios;
}"""


async def violations(screen: Screen) -> list[dict[str, Any]]:
    """What axe finds on the page as it stands, shadow roots included."""
    await screen.page.evaluate(AXE)
    found: list[dict[str, Any]] = await screen.page.evaluate(
        """async (rules) => (await axe.run(document, rules)).violations
            .map(({ id, nodes }) => ({ id, where: nodes.map((n) => [n.target, n.failureSummary]) }))""",
        RULES,
    )
    return found


async def speak(screen: Screen) -> None:
    """Two people on the screen, one of them with a guess."""
    screen.say("It was the best of times.", segment="a", final=True)
    screen.say("It was the", "age of wisdom", segment="b", who=BRUNO)
    await expect(screen.lines).to_have_text(["It was the best of times.", "It was the age of wisdom"])


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("path", ["/", "/overlay"])
async def test_axe_finds_nothing_in_any_theme(browser: Browser, server: RoomServer, path: str, lang: str) -> None:
    context = await browser.new_context(locale=lang, bypass_csp=True)
    try:
        screen = await Screen(await context.new_page(), server, f"axe-{lang}-{path[1:]}").open(path=path)
        await speak(screen)
        for scheme in ("light", "dark"):
            await screen.page.emulate_media(color_scheme=scheme)
            for theme in THEMES:
                await screen.evaluate(
                    "(theme) => { document.querySelector('live-captions').options = { theme, announce: true } }", theme
                )
                assert await violations(screen) == [], f"{scheme} page, {theme} captions"
    finally:
        await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_in_the_settings_the_history_and_the_latency(
    browser: Browser, server: RoomServer, scheme: str
) -> None:
    context = await browser.new_context(locale="fr", bypass_csp=True, color_scheme=scheme)  # type: ignore[arg-type]
    try:
        screen = await Screen(await context.new_page(), server, f"axe-more-{scheme}").open(path="/")
        screen.say("It was", word_latency=500.0, final=True)
        await expect(screen.page.locator(".figures")).to_contain_text("500 ms")
        await screen.page.get_by_role("searchbox").fill("was")
        await expect(screen.page.locator("mark")).to_have_text("was")
        assert await violations(screen) == []
        await screen.page.get_by_role("button", name="Réglages").click()
        await expect(screen.page.get_by_role("dialog")).to_be_visible()
        assert await violations(screen) == []
    finally:
        await context.close()


async def test_every_colour_keeps_4_5_to_1_over_the_worst_picture(screen: Screen) -> None:
    await screen.open()
    ratios = await screen.evaluate(CONTRAST)
    assert set(ratios) == set(THEMES)
    assert {theme: ratio for theme, ratio in ratios.items() if ratio < 4.5} == {}


async def test_captions_are_silent_unless_asked_for_and_then_spoken_in_whole_sentences(screen: Screen) -> None:
    await screen.open()
    log = screen.page.locator("live-captions .log")
    await expect(screen.stage).to_have_attribute("aria-live", "off")
    screen.say("Not to be heard.", segment="a", final=True)
    await screen.shows("Not to be heard.")
    await expect(log).not_to_have_attribute("role", "log")
    await expect(log).to_be_empty()
    await screen.evaluate("() => document.querySelector('live-captions').setAttribute('announce', '')")
    await expect(log).to_have_attribute("role", "log")
    await expect(screen.stage).to_have_attribute("aria-hidden", "true")
    screen.say("It was the age of wisdom,", segment="b", final=True)
    screen.say("it was the age of", segment="c")
    await expect(screen.lines.last).to_have_text("it was the age of")
    await expect(log).to_be_empty()
    screen.say("it was the age of foolishness.", segment="c", final=True)
    await expect(log.locator("p")).to_have_text(["Alice: It was the age of wisdom, it was the age of foolishness."])


FOCUSED = "(document.activeElement.shadowRoot?.activeElement ?? document.activeElement)"


async def test_the_page_is_used_by_keyboard_alone(screen: Screen) -> None:
    await screen.open(path="/")
    page = screen.page
    screen.say("It was the best of times.", final=True)
    await expect(page.locator(".said p")).to_have_count(1)
    reached = []
    for _ in range(16):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate(f"{FOCUSED}.id || {FOCUSED}.className"))
        outline = await page.evaluate(f"getComputedStyle({FOCUSED}).outlineStyle")
        assert outline != "none" or reached[-1] == ""
    wanted = ["language", "links", "settings-button", "back", "speak", "sample", "voices"]
    wanted += ["large", "search", "scroll", "copy", "", "", ""]
    assert reached[: len(wanted)] == wanted
    await page.locator("#settings-button").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.get_by_label("Size").focus()
    await page.keyboard.press("End")
    await expect(screen.stage).to_have_css("--size", "96px")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).not_to_be_visible()
    assert await page.evaluate("document.activeElement.id") == "settings-button"


@pytest.mark.parametrize(("width", "scale"), [(320, 1), (640, 2)])
async def test_nothing_is_cut_off_at_320_px_and_at_twice_the_size(
    browser: Browser, server: RoomServer, width: int, scale: int
) -> None:
    """200 % zoom of a 1,280 px window is a window of 640 px at twice the density."""
    context = await browser.new_context(viewport={"width": width, "height": 512}, device_scale_factor=scale)
    try:
        for path in ("/", "/overlay"):
            screen = await Screen(await context.new_page(), server, f"narrow-{width}-{path[1:]}").open("&size=36", path)
            screen.say("It was the age of wisdom", "it was the age of foolishness", who=BRUNO)
            await expect(screen.lines.last).to_contain_text("foolishness")
            assert await screen.evaluate("document.documentElement.scrollWidth <= innerWidth")
            overflowing = await screen.evaluate("""() => {
              const root = document.querySelector("live-captions").shadowRoot;
              return [...root.querySelectorAll(".line")].filter((l) => l.scrollWidth > l.clientWidth + 1).length;
            }""")
            assert overflowing == 0
    finally:
        await context.close()


FORCED = """() => {
  const light = (colour) => colour.match(/[0-9.]+/g).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const root = document.querySelector("live-captions").shadowRoot;
  return [...root.querySelectorAll(".name, .line")].map((node) => {
    const ink = light(getComputedStyle(node).color);
    const band = light(getComputedStyle(node.closest(".band")).backgroundColor);
    return (Math.max(ink, band) + 0.05) / (Math.min(ink, band) + 0.05);
  });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/overlay"])
async def test_names_can_be_read_and_axe_finds_nothing_in_forced_colours(
    browser: Browser, server: RoomServer, path: str, scheme: str
) -> None:
    context = await browser.new_context(
        bypass_csp=True,
        forced_colors="active",
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    try:
        screen = await Screen(await context.new_page(), server, f"forced-{scheme}-{path[1:]}").open(path=path)
        await speak(screen)
        assert min(await screen.evaluate(FORCED)) >= 4.5
        assert await violations(screen) == []
    finally:
        await context.close()


async def test_captions_stand_on_a_bordered_ground_in_forced_colours(screen: Screen, context: BrowserContext) -> None:
    await screen.page.emulate_media(forced_colors="active")
    await screen.open()
    screen.say("It was", "the best")
    await expect(screen.blocks.locator(".band")).to_have_css("border-top-style", "solid")
    await expect(screen.lines.locator(".tentative").first).to_have_css("text-decoration-style", "dotted")


async def test_nothing_slides_for_who_wants_less_motion(screen: Screen) -> None:
    await screen.page.emulate_media(reduced_motion="reduce")
    await screen.open()
    screen.say("It was")
    await expect(screen.lines.first).to_have_css("transition-duration", "0s")
    await screen.page.emulate_media(reduced_motion="no-preference")
    await expect(screen.lines.first).to_have_css("transition-duration", "0.12s")
    await screen.evaluate("() => document.querySelector('live-captions').setAttribute('motion', 'reduced')")
    await expect(screen.lines.first).to_have_css("transition-duration", "0s")
