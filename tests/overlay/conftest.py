"""A browser for all tests of this folder, and a server whose rooms a test speaks in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from bench.browser.chromium import MISSING, chromium, chromium_path
from bench.servers.room_server import RoomServer
from tests.overlay.screen import Screen

PATIENCE_MS = 60_000
"""On a busy machine; what is waited for mostly comes at once."""

expect.set_options(timeout=PATIENCE_MS)

FOLDER = __file__.rpartition("/")[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder run on one event loop, that of the browser; without a browser they are skipped."""
    for item in items:
        if str(item.path).startswith(FOLDER):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            if chromium_path() is None:
                item.add_marker(pytest.mark.skip(reason=MISSING))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncIterator[RoomServer]:
    async with RoomServer() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    """A page; a test fails if a script on it does."""
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []


@pytest.fixture
def screen(page: Page, server: RoomServer, request: pytest.FixtureRequest) -> Screen:
    """The overlay of a room of this test's own."""
    return Screen(page, server, room=request.node.name[:100])
