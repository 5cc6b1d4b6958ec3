"""Debian's Chromium, headless, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

__all__ = ["MISSING", "chromium", "chromium_path"]

MISSING = "no chromium on this machine: apt-get install chromium"
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)


def chromium_path() -> str | None:
    """Where it is, or None."""
    return shutil.which("chromium")


@asynccontextmanager
async def chromium(arguments: Sequence[str] = ()) -> AsyncIterator[Browser]:
    """A browser, closed at the end; see `chromium_path` first."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path(), args=[*ARGUMENTS, *arguments], headless=True
        )
        try:
            yield browser
        finally:
            await browser.close()
