"""What the reader has when the network or the server fails, and how keys and other origins are dealt with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from bench.servers.room_server import RoomServer
from captions.config import KeysConfig
from tests.overlay.other_origin import other_origin
from tests.overlay.screen import Screen

WATCH_KEY = "watch-key-1"


@pytest_asyncio.fixture(loop_scope="session")
async def own_server() -> AsyncIterator[RoomServer]:
    """A server that a test may stop and start."""
    async with RoomServer() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def guarded() -> AsyncIterator[RoomServer]:
    async with RoomServer(KeysConfig(publish=("publish-key-1",), watch=(WATCH_KEY,))) as server:
        yield server


async def test_what_was_over_before_we_came_is_history_and_not_shown_as_if_said_now(screen: Screen) -> None:
    screen.say("Said long ago.", segment="a", final=True)
    screen.say("Being said", segment="b")
    await screen.open(path="/")
    await screen.shows("Being said")
    await expect(screen.page.locator(".said p")).to_have_text(["Said long ago."])


async def test_after_a_restart_of_the_server_captions_go_on_and_the_gap_is_shown(
    page: Page, own_server: RoomServer
) -> None:
    screen = await Screen(page, own_server, "restart").open(path="/")
    screen.say("Before the end.", segment="a", final=True)
    screen.say("Cut off in the", "middle", segment="b")
    await screen.shows("Before the end.", "Cut off in the middle")
    await own_server.stop()
    await expect(screen.notice).to_have_text("Connection lost. Reconnecting…")
    await screen.shows("Before the end.", "Cut off in the")
    await own_server.start()
    await expect(screen.notice).to_have_text("Captions were interrupted for 1 s")
    screen.say("After the beginning.", segment="c", final=True)
    await expect(screen.lines.last).to_have_text("After the beginning.")
    await expect(page.locator(".said p")).to_have_text(
        ["Before the end.", "Interrupted for 1 s", "After the beginning."]
    )


async def test_what_was_said_while_we_were_offline_is_caught_up_without_duplicates(
    screen: Screen, context: BrowserContext
) -> None:
    await screen.open(path="/")
    screen.say("Heard.", segment="a", final=True)
    screen.say("Begun", segment="b")
    await screen.shows("Heard.", "Begun")
    await context.set_offline(True)
    await expect(screen.notice).to_have_text("Connection lost. Reconnecting…")
    screen.say("Begun and ended.", segment="b", final=True)
    screen.say("Missed.", segment="c", final=True)
    await context.set_offline(False)
    await expect(screen.page.locator(".said p:not(.gap p)")).to_have_text(["Heard.", "Begun and ended.", "Missed."])
    await expect(screen.lines.last).to_have_text("Missed.")
    shown = await screen.lines.all_text_contents()
    assert shown == ["Heard.", "Begun and ended.", "Missed."]


async def test_the_element_tries_until_the_server_is_there(page: Page, own_server: RoomServer) -> None:
    screen = Screen(page, own_server, "late")
    await page.goto(f"{own_server.url}/overlay")
    await screen.watched()
    await own_server.stop()
    await page.evaluate("() => document.querySelector('live-captions').setAttribute('room', 'late')")
    await expect(screen.notice).to_have_text("The server cannot be reached, or wants a key. Trying again…")
    await own_server.start()
    await screen.watched()
    screen.say("Here")
    await screen.shows("Here")


async def test_the_key_leaves_the_address_bar_and_opens_the_room(page: Page, guarded: RoomServer) -> None:
    screen = Screen(page, guarded, "closed")
    for where in ("?room=closed&key=", "?room=closed#key="):
        await page.goto("about:blank")
        await page.goto(f"{guarded.url}/overlay{where}{WATCH_KEY}")
        await screen.watched()
        assert WATCH_KEY not in page.url
        assert urlsplit(page.url).query == "room=closed"
    await page.reload()
    await screen.watched()
    screen.say("Still here")
    await screen.shows("Still here")


async def test_without_a_key_a_closed_room_says_so(page: Page, guarded: RoomServer) -> None:
    await page.goto(f"{guarded.url}/overlay?room=closed&lang=fr")
    notice = Screen(page, guarded, "closed").notice
    await expect(notice).to_have_text("Le serveur est injoignable ou demande une clé. Nouvel essai…")


async def test_a_page_of_another_origin_can_embed_the_element(screen: Screen, server: RoomServer) -> None:
    html = f"""<!doctype html><script type="module" src="{server.url}/overlay/live-captions.js"></script>
        <live-captions room="{screen.room}" lang="fr"></live-captions>"""
    policy = f"default-src 'none'; script-src {server.url}; connect-src {server.url.replace('http', 'ws')}"
    with other_origin(html, {"Content-Security-Policy": policy}) as url:
        await screen.page.goto(url)
    await screen.watched()
    screen.say("Bonjour d'ailleurs")
    await screen.shows("Bonjour d'ailleurs")


async def test_the_overlay_may_be_framed_and_the_page_may_not(screen: Screen, server: RoomServer) -> None:
    html = "".join(f'<iframe src="{server.url}{path}?room={screen.room}"></iframe>' for path in ("/overlay", "/"))
    with other_origin(html) as url:
        await screen.page.goto(url)
    overlay = screen.page.frame_locator("iframe").nth(0)
    await expect(overlay.locator("live-captions .notice")).to_have_text("")
    await expect(overlay.locator("live-captions")).to_be_visible()
    assert await screen.page.frame_locator("iframe").nth(1).locator("live-captions").count() == 0
