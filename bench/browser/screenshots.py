"""The pictures of README.md, of a real server that hears the page's sample."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, expect

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
WORDS_FIRST = 4
TIMEOUT_MS = 60_000
COLOURS = 256
STREET = "linear-gradient(115deg, #8fb3c9 0 35%, #d8cfb8 35% 60%, #7d8f72 60% 80%, #b9a58d 80%)"


async def take(url: str, browser: Browser, folder: Path) -> None:
    """Play the sample on one page; look at the room in all guises, on screens of both sizes."""
    playing = await _page(browser, url, DESK, "light", "en")
    await playing.get_by_label("Voices").select_option("2")
    looks = {"page-light": playing, "page-dark": await _page(browser, url, DESK, "dark", "fr")}
    looks["phone-light"] = await _page(browser, url, PHONE, "light", "fr")
    looks["phone-dark"] = await _page(browser, url, PHONE, "dark", "en")
    looks["overlay"] = await _page(browser, f"{url}/overlay?size=30", DESK, "light", "en")
    await looks["overlay"].evaluate("(street) => { document.body.style.background = street }", STREET)
    await playing.get_by_role("button", name="Play a sample").click()
    await expect(playing.locator(".said p")).to_have_count(WORDS_FIRST, timeout=TIMEOUT_MS)
    await expect(playing.locator("live-captions .block")).to_have_count(2, timeout=TIMEOUT_MS)
    for name, page in looks.items():
        _save(await page.screenshot(), folder / f"{name}.png")
    settings = looks["page-dark"]
    await settings.get_by_role("button", name="Réglages").click()
    await expect(settings.get_by_role("dialog")).to_be_visible()
    _save(await settings.screenshot(), folder / "settings-dark.png")


async def _page(browser: Browser, url: str, size: dict[str, int], scheme: str, lang: str) -> Page:
    context = await browser.new_context(
        viewport=size,  # type: ignore[arg-type]
        color_scheme=scheme,  # type: ignore[arg-type]
        locale=lang,
    )
    page = await context.new_page()
    await page.goto(url)
    return page


def _save(screenshot: bytes, file: Path) -> None:
    """As a small PNG: flat pages need few colours, but the rare ones count, those of names above all."""
    picture = Image.open(io.BytesIO(screenshot)).convert("RGB").quantize(COLOURS, kmeans=1, dither=Image.Dither.NONE)
    picture.save(file, optimize=True)
    print(f"{file.name}: {file.stat().st_size / 1_000:.0f} kB")
