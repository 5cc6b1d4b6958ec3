"""Real speech through a real server: spoken into the page, played by it, and the server killed in the middle."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import moonshine_voice
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from bench.browser.chromium import chromium

CLIP = Path(moonshine_voice.get_assets_path()) / "two_cities.wav"
FAKE_MICROPHONE = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    f"--use-file-for-fake-audio-capture={CLIP}",
)
FIRST_WORDS_MS = 60_000


class SpeechServer:
    """`captions serve` with the model that needs no GPU, as a process that can be killed."""

    def __init__(self) -> None:
        self.port = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    async def start(self) -> None:
        """Start it, on the port of before if it ran before."""
        command = [sys.executable, "-m", "captions", "serve", "--model", "moonshine", "--port", str(self.port)]
        self._process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=DEVNULL)
        assert self._process.stdout is not None
        announced = re.search(rb"ws://[^:]+:(\d+)", await self._process.stdout.readline())
        assert announced is not None, "the server did not start"
        self.port = int(announced.group(1))

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def speech_server() -> AsyncIterator[SpeechServer]:
    server = SpeechServer()
    await server.start()
    yield server
    await server.kill()


@pytest.mark.parametrize("codec", ["opus", "pcm"])
async def test_what_is_said_into_the_microphone_is_read_on_the_page(speech_server: SpeechServer, codec: str) -> None:
    async with chromium(FAKE_MICROPHONE) as browser:
        page = await browser.new_page(locale="en-GB")
        started: list[str | bytes] = []
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: started.append(frame)))
        await page.goto(f"{speech_server.url}/?codec={codec}")
        await page.get_by_role("button", name="Speak").click()
        await page.get_by_label("Your name").fill("Zoé")
        await page.get_by_label("Your name").press("Enter")
        await expect(page.locator("live-captions .name")).to_have_text("You", timeout=FIRST_WORDS_MS)
        await expect(page.locator("live-captions .line").first).to_have_text(
            re.compile(r"times|wisdom|foolishness|epoch|season", re.I), timeout=FIRST_WORDS_MS
        )
        assert ('"codec":"opus"' in str(started[0])) == (codec == "opus")
        await page.get_by_role("button", name="Stop").click()
        await expect(page.get_by_role("button", name="Speak")).to_be_visible()


async def test_the_sample_is_read_by_two_and_goes_on_after_the_server_was_killed(
    browser: Browser, speech_server: SpeechServer
) -> None:
    context = await browser.new_context(locale="en-GB")
    page = await context.new_page()
    await page.goto(speech_server.url)
    await page.get_by_label("Voices").select_option("2")
    await page.get_by_role("button", name="Play a sample").click()
    said = page.locator(".said p")
    await expect(page.locator("#people li")).to_have_text(
        [re.compile("Alice|Bruno"), re.compile("Alice|Bruno")], timeout=FIRST_WORDS_MS
    )
    await expect(said.first).to_be_visible(timeout=FIRST_WORDS_MS)
    await speech_server.kill()
    await expect(page.locator("live-captions .notice")).to_have_text("Connection lost. Reconnecting…")
    before = await said.all_text_contents()
    await speech_server.start()
    await page.evaluate("dispatchEvent(new Event('online'))")
    gap = page.locator(".said .gap")
    await expect(gap).to_have_text(re.compile(r"Interrupted for \d+ s"), timeout=FIRST_WORDS_MS)
    await expect(page.locator(".said .gap ~ li p").first).to_be_visible(timeout=FIRST_WORDS_MS)
    after = await said.all_text_contents()
    assert after[: len(before)] == before
    assert len(await page.locator(".said li").all()) == len(after)
    await page.get_by_role("button", name="Stop").click()
    await context.close()
