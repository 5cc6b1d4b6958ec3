"""A reader whose token ends: the element asks its page for another one, and goes on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping

import jwt
import pytest_asyncio
from playwright.async_api import Page, WebSocket, expect

from bench.servers.room_server import RoomServer
from captions.config import TokensConfig
from tests.overlay.screen import Screen

KEY, SECRET = "APIkeyOfLivekit", "a secret of LiveKit, 32 bytes or more"
NOW = time.time()
SOON_S = 0.3
"""The clock of these tests' server stands still, so each connection of a token that ends then lasts this long."""

GIVE = """(token) => {
  const captions = document.querySelector("live-captions");
  window.asked = [];
  captions.addEventListener("tokenneeded", ({ detail }) => {
    window.asked.push(detail.room);
    captions.setAttribute("token", token);
  });
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def livekits() -> AsyncIterator[RoomServer]:
    async with RoomServer(tokens=TokensConfig(KEY, SECRET), wall_clock=lambda: NOW) as server:
        yield server


def token(room: str, lasts_s: float) -> str:
    video: Mapping[str, object] = {"roomJoin": True, "room": room}
    return jwt.encode({"iss": KEY, "sub": "ada", "exp": NOW + lasts_s, "video": video}, SECRET, "HS256")


async def test_the_element_asks_for_a_new_token_and_nothing_is_lost(page: Page, livekits: RoomServer) -> None:
    screen = Screen(page, livekits, "renewed")
    await page.goto(f"{livekits.url}/overlay?room=renewed")
    await page.evaluate(GIVE, token("renewed", 3_600.0))
    screen.say("Before the end.", segment="a", final=True)
    await page.evaluate(
        "(token) => document.querySelector('live-captions').setAttribute('token', token)", token("renewed", SOON_S)
    )
    await expect(screen.notice).to_have_text("Captions were interrupted for 1 s")
    assert await page.evaluate("window.asked") == ["renewed"]
    screen.say("After it.", segment="b", final=True)
    await expect(screen.lines.last).to_have_text("After it.")
    kept = "document.querySelector('live-captions').transcript.finals.map((segment) => segment.text)"
    assert await page.evaluate(kept) == ["Before the end.", "After it."]


async def test_without_a_new_one_the_reader_is_told(page: Page, livekits: RoomServer) -> None:
    await page.goto(f"{livekits.url}/overlay?room=over#key={token('over', SOON_S)}")
    await expect(Screen(page, livekits, "over").notice).to_have_text("Your permission to read along has ended.")


async def test_a_token_given_ahead_is_used_when_the_old_one_ends(page: Page, livekits: RoomServer) -> None:
    screen = Screen(page, livekits, "ahead")
    await page.goto(f"{livekits.url}/overlay?room=ahead#key={token('ahead', 5 * SOON_S)}")
    await screen.watched()
    await page.evaluate(GIVE, "of no use")
    await page.evaluate(
        "(token) => document.querySelector('live-captions').setAttribute('token', token)", token("ahead", 3_600.0)
    )
    await expect(screen.notice).to_have_text("Captions were interrupted for 1 s")
    assert await page.evaluate("window.asked") == []


async def test_no_address_that_our_pages_ask_for_has_the_key_in_it(page: Page, livekits: RoomServer) -> None:
    secret = token("secret", 3_600.0)
    asked: list[str] = []

    def connecting(socket: WebSocket) -> None:
        asked.append(socket.url)

    page.on("websocket", connecting)
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{livekits.url}/?room=secret#key={secret}")
    await Screen(page, livekits, "secret").watched()
    await page.locator("#sample").click()
    await expect(page.locator("#status")).to_have_text("Playing A Tale of Two Cities.")
    assert [url for url in asked if url.endswith("/v1/stream")]
    assert [url for url in asked if url.endswith("/captions")]
    assert [url for url in asked if secret in url.partition("#")[0]] == []
