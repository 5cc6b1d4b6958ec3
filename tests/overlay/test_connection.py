"""What the reader has when the network or the server fails, and how keys and other origins are dealt with."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import BrowserContext, Page, expect

from bench.servers.room_server import RoomServer
from captions.config import KeysConfig
from tests.overlay.other_origin import other_origin
from tests.overlay.screen import Screen
from tests.overlay.test_page import saved

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
    await expect(screen.notice).to_have_text(re.compile(r"Captions were interrupted for \d+ s"))
    screen.say("After the beginning.", segment="c", final=True)
    await expect(screen.lines.last).to_have_text("After the beginning.")
    await expect(page.locator(".said p")).to_have_text(
        ["Before the end.", re.compile(r"Interrupted for \d+ s"), "After the beginning."]
    )


async def test_what_was_said_while_we_were_offline_is_caught_up_without_duplicates(
    screen: Screen, context: BrowserContext
) -> None:
    opened: list[str] = []
    screen.page.on("websocket", lambda socket: opened.append(socket.url))
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
    assert re.search(r"\?since=\d+-\d+$", opened[-1]), "only what was missed is asked for"


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


@pytest.mark.parametrize("host", ["light", "dark"])
@pytest.mark.parametrize("system", ["light", "dark"])
async def test_the_overlay_is_transparent_in_a_frame_whatever_the_colour_schemes(
    screen: Screen, server: RoomServer, host: str, system: str
) -> None:
    """Framed as docs/overlay.md says; on a light page the style may be left out."""
    style = "inline-size: 300px; block-size: 200px; border: 0"
    framed = f'<iframe src="{server.url}/overlay?room={screen.room}" style="{style}; color-scheme: light"></iframe>'
    html = f'<!doctype html><html style="color-scheme: {host}"><body style="margin: 0; background: #d00">{framed}'
    await screen.page.emulate_media(color_scheme=system)  # type: ignore[arg-type]
    with other_origin(html) as url:
        await screen.page.goto(url)
        await expect(screen.page.frame_locator("iframe").locator("live-captions .notice")).to_have_text("")
        picture = Image.open(io.BytesIO(await screen.page.screenshot())).convert("RGB")
    assert picture.getpixel((20, 20)) == (0xDD, 0, 0)


async def test_the_documented_markup_opens_one_connection_and_complains_of_nothing(
    screen: Screen, server: RoomServer
) -> None:
    opened: list[str] = []
    complaints: list[str] = []
    screen.page.on("websocket", lambda socket: opened.append(socket.url))
    screen.page.on("console", lambda message: complaints.append(message.text))
    html = f"""<!doctype html><script type="module" src="{server.url}/overlay/live-captions.js"></script>
        <live-captions src="{server.url}" room="{screen.room}" token="WATCH-KEY" size="30" style="height: 20rem">
        </live-captions>"""
    with other_origin(html) as url:
        await screen.page.goto(url)
        await screen.watched()
        by_script = """(room) => {
          const captions = document.createElement("live-captions");
          document.body.append(captions);
          for (const [name, value] of [["room", "other"], ["room", room], ["token", "WATCH-KEY"], ["size", "20"]])
            captions.setAttribute(name, value);
        }"""
        await screen.evaluate(by_script, screen.room)
        await expect(screen.notice).to_have_text(["", ""])
        screen.say("Hello")
        await expect(screen.lines).to_have_text(["Hello", "Hello"])
    assert [urlsplit(url).path for url in opened] == [f"/v1/rooms/{screen.room}/captions"] * 2
    assert [text for text in complaints if "favicon" not in text] == []


async def test_a_page_whose_policy_forbids_the_connection_is_told_so(screen: Screen, server: RoomServer) -> None:
    told: list[str] = []
    screen.page.on("console", lambda message: told.append(message.text))
    html = f"""<!doctype html><script type="module" src="{server.url}/overlay/live-captions.js"></script>
        <live-captions room="{screen.room}" lang="en"></live-captions>"""
    with other_origin(html, {"Content-Security-Policy": f"default-src 'none'; script-src {server.url}"}) as url:
        await screen.page.goto(url)
        await expect(screen.notice).to_have_text("This page’s policy (connect-src) keeps the captions out.")
    sockets = server.url.replace("http", "ws")
    assert f"<live-captions>: this page's Content-Security-Policy has no connect-src for {sockets}" in told


async def test_what_was_said_can_be_saved_after_the_server_has_gone(page: Page, own_server: RoomServer) -> None:
    screen = await Screen(page, own_server, "gone").open(path="/")
    screen.say("Keep this.", final=True)
    await expect(page.locator(".said p")).to_have_text(["Keep this."])
    # Both modules are here once all that they import has come, which may be after themselves.
    parts = ("files", "subtitles", "settings", "settings-texts", "dialog-styles", "guest", "options")
    names = "performance.getEntriesByType('resource').map(({ name }) => name.split('/').pop())"
    async with asyncio.timeout(20):
        while not {f"{part}.js" for part in parts} <= set(await page.evaluate(names)):  # noqa: ASYNC110 -- it happens in the browser
            await asyncio.sleep(0.02)
    await own_server.stop()
    await expect(screen.notice).to_have_text("Connection lost. Reconnecting…")
    assert await saved(page, "txt") == "Alice: Keep this.\n"
    await page.get_by_label("from the server").check()
    await page.get_by_role("button", name="VTT").click()
    told = "The server cannot be reached, or wants a key (Settings)."
    await expect(page.locator("#status")).to_have_text(told)
    await page.get_by_role("button", name="Settings").click()
    await expect(page.get_by_role("dialog")).to_be_visible()


async def test_pressing_what_was_never_loaded_says_that_the_server_is_away(page: Page, own_server: RoomServer) -> None:
    await Screen(page, own_server, "away").open(path="/")
    await own_server.stop()
    told = "The server cannot be reached, or wants a key (Settings)."
    for button in ("Settings", "Speak", "VTT"):
        await page.locator("#status").evaluate("(status) => { status.textContent = '' }")
        await page.get_by_role("button", name=button).click()
        await expect(page.locator("#status")).to_have_text(told)
