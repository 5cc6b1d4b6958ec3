"""Speaking from the page: who one is to others, and what one is told when it does not work."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, WebSocketRoute, expect

from bench.browser.chromium import chromium
from bench.servers.room_server import RoomServer
from captions.config import KeysConfig
from captions.doors.native.messages import Participant
from tests.overlay.screen import Screen
from tests.overlay.test_origins import named

WATCH_KEY, PUBLISH_KEY = "watch-key-1", "publish-key-1"
FLAGS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--host-resolver-rules=MAP *.example 127.0.0.1",
)

KEEP_MICROPHONE = """
  const open = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
  if (open) navigator.mediaDevices.getUserMedia = async (wanted) => (window.microphone = await open(wanted));
"""
"""Lets a test see the tracks that the page was given."""

SILENCE = """
  navigator.mediaDevices.getUserMedia = async () => new AudioContext().createMediaStreamDestination().stream;
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def speaking_browser() -> AsyncIterator[Browser]:
    async with chromium(FLAGS) as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded() -> AsyncIterator[RoomServer]:
    async with RoomServer(KeysConfig(publish=(PUBLISH_KEY,), watch=(WATCH_KEY,))) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def own_context(speaking_browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await speaking_browser.new_context(locale="en-GB")
    await context.add_init_script(KEEP_MICROPHONE)
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(own_context: BrowserContext) -> Page:
    return await own_context.new_page()


async def press_speak(page: Page, name: str = "") -> None:
    await page.get_by_role("button", name="Speak").click()
    await page.get_by_label("Your name").fill(name)
    await page.get_by_label("Your name").press("Enter")


def starts(page: Page) -> list[dict[str, object]]:
    """The start messages that the page sends from now on."""
    sent: list[dict[str, object]] = []

    def note(frame: str | bytes) -> None:
        if isinstance(frame, str) and '"type":"start"' in frame:
            sent.append(json.loads(frame))

    page.on("websocket", lambda socket: socket.on("framesent", note))
    return sent


async def test_others_read_the_name_one_gives_and_oneself_reads_you(visitor: Page, server: RoomServer) -> None:
    sent = starts(visitor)
    mine = Screen(visitor, server, "names")
    await mine.open(path="/")
    await press_speak(visitor, "Zoé")
    await expect(visitor.locator("#status")).to_have_text("Listening: your words appear above.")
    participant = sent[0]["participant"]
    assert isinstance(participant, dict)
    assert participant["name"] == "Zoé"
    other = await Screen(await visitor.context.new_page(), server, "names").open(path="/")
    zoe = Participant(participant["id"], participant["name"])
    mine.say("Hello.", segment="a", who=zoe, final=True)
    for screen, name in ((mine, "You"), (other, "Zoé")):
        await expect(screen.blocks.locator(".name")).to_have_text(name)
        await expect(screen.page.locator(".said b")).to_have_text(name)
        await expect(screen.page.locator("#people li")).to_have_text(name)
    await visitor.get_by_role("button", name="Stop").click()
    await visitor.reload()
    await visitor.get_by_role("button", name="Speak").click()
    await expect(visitor.locator("#status")).to_have_text("Listening: your words appear above.")
    assert [start["participant"]["name"] for start in sent] == ["Zoé", "Zoé"]  # type: ignore[index]


async def test_nobody_is_called_you_by_others(visitor: Page, server: RoomServer) -> None:
    sent = starts(visitor)
    await visitor.goto(f"{server.url}/?room=guests")
    await visitor.get_by_role("button", name="Speak").click()
    await visitor.get_by_role("button", name="Cancel").click()
    await expect(visitor.get_by_role("button", name="Speak")).to_have_attribute("aria-pressed", "false")
    await press_speak(visitor)
    await expect(visitor.locator("#status")).to_have_text("Listening: your words appear above.")
    assert str(sent[0]["participant"]["name"]).startswith("Guest ")  # type: ignore[index]


async def test_over_plain_http_one_is_told_what_is_the_matter(visitor: Page, guarded: RoomServer) -> None:
    await visitor.goto(f"{named(guarded.url, 'captions.example')}/?room=lan#key={PUBLISH_KEY}")
    await Screen(visitor, guarded, "lan").watched()
    await press_speak(visitor, "Zoé")
    told = "Browsers give a page the microphone and sound only over https:// or on localhost. Ask for an https address."
    await expect(visitor.locator("#status")).to_have_text(told)
    await visitor.get_by_role("button", name="Play a sample").click()
    await expect(visitor.locator("#status")).to_have_text(told)
    await expect(visitor.get_by_role("button", name="Stop")).to_have_count(0)


async def test_a_watch_key_does_not_speak_and_the_microphone_is_closed(visitor: Page, guarded: RoomServer) -> None:
    await visitor.goto(f"{guarded.url}/?room=closed#key={WATCH_KEY}")
    await press_speak(visitor, "Zoé")
    told = "This key may only read along, or is not the right one (Settings)."
    await expect(visitor.locator("#status")).to_have_text(told)
    await expect(visitor.get_by_role("button", name="Speak")).to_be_visible()
    assert await visitor.evaluate("window.microphone.getTracks().map((track) => track.readyState)") == ["ended"]
    await expect(visitor.locator("meter")).to_have_count(0)


async def test_a_server_that_has_become_too_full_says_so_and_the_microphone_is_closed(
    visitor: Page, server: RoomServer
) -> None:
    def refuse(socket: WebSocketRoute) -> None:
        def answer(message: str | bytes) -> None:
            code, why = ("overloaded", "too late") if isinstance(message, str) else ("unknown_track", "no track")
            socket.send(json.dumps({"type": "error", "code": code, "message": why}))

        socket.on_message(answer)

    await visitor.route_web_socket(re.compile("/v1/stream"), refuse)
    await visitor.goto(f"{server.url}/?room=full")
    await press_speak(visitor, "Zoé")
    await expect(visitor.locator("#status")).to_have_text("The server has no room left. Try again later.")
    await expect(visitor.get_by_role("button", name="Speak")).to_be_visible()
    assert await visitor.evaluate("window.microphone.getTracks().map((track) => track.readyState)") == ["ended"]


async def test_a_microphone_that_hears_nothing_is_told_and_shown(visitor: Page, server: RoomServer) -> None:
    await visitor.add_init_script(SILENCE)
    await visitor.clock.install()
    await visitor.goto(f"{server.url}/?room=silent")
    await press_speak(visitor, "Zoé")
    await expect(visitor.locator("#status")).to_have_text("Listening: your words appear above.")
    await expect(visitor.get_by_role("meter", name="What the microphone hears")).to_be_visible()
    await visitor.clock.fast_forward(6_000)
    told = "Nothing is heard. Is the microphone on, and the right one?"
    await expect(visitor.locator("#status")).to_have_text(told)
    assert await visitor.locator("meter").evaluate("(meter) => meter.value") < 0.1


async def test_the_level_of_what_is_heard_is_shown(visitor: Page, server: RoomServer) -> None:
    """The browser's own test microphone beeps."""
    await visitor.goto(f"{server.url}/?room=beeps")
    await press_speak(visitor, "Zoé")
    async with asyncio.timeout(20):
        while await visitor.locator("meter").evaluate("(meter) => meter.value") <= 0.5:  # noqa: ASYNC110 -- it happens in the browser
            await asyncio.sleep(0.02)


async def test_stopping_sample_voices_complains_of_nothing(visitor: Page, server: RoomServer) -> None:
    await visitor.goto(f"{server.url}/?room=samples")
    await visitor.get_by_label("Voices").select_option("4")
    await visitor.get_by_role("button", name="Play a sample").click()
    status = visitor.locator("#status")
    await expect(status).to_have_text("Playing A Tale of Two Cities.")
    await visitor.evaluate(
        """() => {
          window.told = [];
          const status = document.getElementById("status");
          new MutationObserver(() => window.told.push(status.textContent)).observe(status, { childList: true });
        }"""
    )
    await visitor.get_by_role("button", name="Stop").click()
    await expect(status).to_have_text("")
    await visitor.wait_for_timeout(500)
    assert set(await visitor.evaluate("window.told")) <= {"Playing A Tale of Two Cities.", ""}
