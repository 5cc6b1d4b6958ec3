"""What a browser lets a foreign page do, and the server does not: the other machines' names are all 127.0.0.1 here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from bench.browser.chromium import chromium
from bench.servers.room_server import RoomServer
from captions.config import KeysConfig
from tests.overlay.other_origin import other_origin
from tests.overlay.screen import Screen

KEY = "watch-key-1"

TRY_TO_WATCH = """(url) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  socket.onopen = () => resolve("open");
  socket.onerror = () => resolve("refused");
})"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fooled() -> AsyncIterator[Browser]:
    """A browser for which every name under .example is this machine, as an attacker's name server may say."""
    async with chromium(["--host-resolver-rules=MAP *.example 127.0.0.1"]) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def victim(fooled: Browser) -> AsyncIterator[Page]:
    context = await fooled.new_context(locale="en-GB")
    yield await context.new_page()
    await context.close()


def named(url: str, host: str) -> str:
    """The same address under another name."""
    return urlsplit(url)._replace(netloc=f"{host}:{urlsplit(url).port}").geturl()


async def test_a_foreign_page_cannot_listen_in_on_a_server_without_keys(victim: Page, server: RoomServer) -> None:
    sockets = server.url.replace("http", "ws")
    with other_origin("<!doctype html>") as url:
        await victim.goto(named(url, "evil.example"))
        for route in ("v1/rooms/daily/captions", "v1/stream"):
            assert await victim.evaluate(TRY_TO_WATCH, f"{sockets}/{route}") == "refused"
        await victim.goto(named(url, "localhost"))
        for route in ("v1/rooms/daily/captions", "v1/stream"):
            assert await victim.evaluate(TRY_TO_WATCH, f"{sockets}/{route}") == "open"


async def test_a_name_that_was_pointed_to_this_machine_opens_nothing(victim: Page, server: RoomServer) -> None:
    screen = Screen(victim, server, "rebound")
    screen.say("Between us.", final=True)
    await victim.goto(f"{named(server.url, 'evil.example')}/overlay?room=rebound")
    await expect(screen.notice).to_have_text("The server cannot be reached, or wants a key. Trying again…")
    status = "async () => (await fetch('/v1/rooms/rebound/transcript.txt')).status"
    assert await victim.evaluate(status) == 403
    await victim.goto(f"{server.url}/overlay?room=rebound")
    await screen.watched()
    assert await victim.evaluate(status) == 200


async def test_with_keys_only_pages_of_listed_origins_watch(victim: Page) -> None:
    keys = KeysConfig(publish=("publish-key-1",), watch=(KEY,))
    with other_origin("<!doctype html>") as url:
        meet, evil = named(url, "meet.example"), named(url, "evil.example")
        async with RoomServer(keys, origins=(meet.rstrip("/"),)) as server:
            watching = f"{server.url.replace('http', 'ws')}/v1/rooms/closed/captions?key="
            await victim.goto(meet)
            assert await victim.evaluate(TRY_TO_WATCH, watching + KEY) == "open"
            assert await victim.evaluate(TRY_TO_WATCH, watching) == "refused"
            await victim.goto(evil)
            assert await victim.evaluate(TRY_TO_WATCH, watching + KEY) == "refused"
            await victim.goto(f"{server.url}/overlay?room=closed#key={KEY}")
            await Screen(victim, server, "closed").watched()
