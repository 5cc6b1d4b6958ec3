"""What captions cost and how steady they are in a real Chromium; one class a figure.

arrival to pixels     from a segment's arrival in the page to the frame that shows it, four people talking at once
publish to pixels     the same from the moment the server publishes it, its socket and the browser's included
layout shift          the browser's own score over a meeting, and words that left the place they were first shown at
DOM nodes, JS heap    after an hour of talk, and after its first ten minutes
page weight           bytes of everything `/` loads, uncompressed; and all a visitor can make it load
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page

from bench.browser.meeting import Said, meeting
from bench.servers.room_server import RoomServer
from captions.cli.tally import percentile

__all__ = ["Memory", "Pixels", "Steadiness", "Weight", "memory", "pixels", "steadiness", "weight"]

PROBE = Path(__file__).with_name("probe.js").read_text(encoding="utf-8")
PEOPLE = 4
SIZE = {"width": 1280, "height": 720}


@dataclass(frozen=True, slots=True)
class Pixels:
    """Milliseconds to the screen, of `messages` segment revisions."""

    messages: int
    arrival_p50_ms: float
    arrival_p95_ms: float
    arrival_max_ms: float
    publish_p95_ms: float

    def __str__(self) -> str:
        return (
            f"arrival to pixels, {PEOPLE} talking: p50 {self.arrival_p50_ms:.0f} ms, p95 {self.arrival_p95_ms:.0f} ms, "
            f"max {self.arrival_max_ms:.0f} ms; publish to pixels p95 {self.publish_p95_ms:.0f} ms "
            f"({self.messages} revisions)"
        )


@dataclass(frozen=True, slots=True)
class Steadiness:
    """`shift`: the browser's cumulative score; `moved`: words found elsewhere than before, in `looks` looks at one."""

    minutes: float
    shift: float
    moved: int
    looks: int

    def __str__(self) -> str:
        return (
            f"layout shift, {self.minutes:.0f} minutes of meeting: score {self.shift:.4f}, "
            f"{self.moved} words moved in {self.looks} looks"
        )


@dataclass(frozen=True, slots=True)
class Memory:
    """`nodes` and `heap_mb` at equal distances through `minutes` of talk, after garbage collection."""

    minutes: float
    nodes: tuple[int, ...]
    heap_mb: tuple[float, ...]

    def __str__(self) -> str:
        heap = " ".join(f"{mb:.1f}" for mb in self.heap_mb)
        nodes = " ".join(map(str, self.nodes))
        return f"memory over {self.minutes:.0f} virtual minutes of talk: DOM nodes {nodes}; JS heap {heap} MB"


@dataclass(frozen=True, slots=True)
class Weight:
    """Uncompressed bytes; `foreign`: addresses asked for that are not the server's."""

    page_bytes: int
    overlay_bytes: int
    everything_bytes: int
    foreign: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"page weight: / {self.page_bytes / 1_000:.1f} kB, /overlay {self.overlay_bytes / 1_000:.1f} kB, "
            f"every file there is {self.everything_bytes / 1_000:.1f} kB; {len(self.foreign)} third-party requests"
        )


async def pixels(browser: Browser, server: RoomServer, duration_s: float) -> Pixels:
    """Four people talk at once in real time; each revision is followed to the screen."""
    page = await _overlay(browser, server, "pixels")
    await page.evaluate("probe.timed = true")
    published: dict[str, float] = {}
    began_at = time.monotonic()
    for said in meeting("pixels", duration_s, PEOPLE, together=True):
        await asyncio.sleep(began_at + said.at_s - time.monotonic())
        published[f"{said.segment.id}/{said.segment.revision}"] = time.time() * 1_000
        server.publish(said.segment)
    await _until(page, f"probe.messages.length >= {len(published)}")
    messages = await page.evaluate("probe.messages")
    await page.close()
    arrival = [painted - arrived for _, arrived, painted in messages]
    publish = [painted - published[key] for key, _, painted in messages]
    return Pixels(
        messages=len(messages),
        arrival_p50_ms=percentile(arrival, 0.5) or 0.0,
        arrival_p95_ms=percentile(arrival, 0.95) or 0.0,
        arrival_max_ms=max(arrival),
        publish_p95_ms=percentile(publish, 0.95) or 0.0,
    )


async def steadiness(browser: Browser, server: RoomServer, minutes: float) -> Steadiness:
    """A meeting on a virtual clock; after each quarter of a second every word is looked at, with nothing sliding."""
    page = await _overlay(browser, server, "steady", virtual=True)
    await page.evaluate("document.querySelector('live-captions').options = { motion: 'reduced' }")
    moved = looks = 0
    async for _ in _play(page, server, meeting("steady", minutes * 60, PEOPLE, together=True), step_s=0.25):
        found = await page.evaluate("probe.check()")
        moved += len(found["moved"])
        looks += found["words"]
    shift = await page.evaluate("probe.shift")
    await page.close()
    return Steadiness(minutes, shift, moved, looks)


async def memory(browser: Browser, server: RoomServer, minutes: float, path: str = "/", looks: int = 6) -> Memory:
    """Four people talk in turn on a virtual clock."""
    page = await _overlay(browser, server, "memory", virtual=True, path=path)
    inspector = await page.context.new_cdp_session(page)
    await inspector.send("Performance.enable")
    nodes: list[int] = []
    heap_mb: list[float] = []
    every_s = minutes * 60 / looks
    async for now_s in _play(page, server, meeting("memory", minutes * 60, PEOPLE, together=False), step_s=2.0):
        if now_s < every_s * (len(nodes) + 1):
            continue
        await inspector.send("HeapProfiler.collectGarbage")
        metrics = {m["name"]: m["value"] for m in (await inspector.send("Performance.getMetrics"))["metrics"]}
        nodes.append(int(metrics["Nodes"]))
        heap_mb.append(round(metrics["JSHeapUsedSize"] / 1e6, 2))
    await page.close()
    return Memory(minutes, tuple(nodes), tuple(heap_mb))


async def weight(browser: Browser, server: RoomServer) -> Weight:
    """What the pages load before anything is pressed, and the size of every file that could be."""
    foreign: list[str] = []

    async def loaded(path: str) -> int:
        context = await browser.new_context()
        page = await context.new_page()
        bodies = []
        page.on("requestfinished", lambda request: bodies.append(request))
        page.on("request", lambda request: None if _own(request.url, server) else foreign.append(request.url))
        await page.goto(f"{server.url}{path}", wait_until="networkidle")
        sizes = [len(await response.body()) for body in bodies if (response := await body.response())]
        await context.close()
        return sum(sizes)

    folder = Path(__file__).parents[2] / "captions" / "overlay"
    everything = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    return Weight(await loaded("/"), await loaded("/overlay"), everything, tuple(foreign))


def _own(url: str, server: RoomServer) -> bool:
    return url.startswith((server.url, server.url.replace("http", "ws"), "blob:", "data:"))


async def _overlay(
    browser: Browser, server: RoomServer, room: str, *, virtual: bool = False, path: str = "/overlay"
) -> Page:
    context = await browser.new_context(viewport=SIZE, locale="en-GB")  # type: ignore[arg-type]
    page = await context.new_page()
    await page.add_init_script(PROBE)
    if virtual:
        await page.clock.install()
    await page.goto(f"{server.url}{path}?room={room}")
    await _until(
        page, "document.querySelector('live-captions').shadowRoot?.querySelector('.notice').textContent === ''"
    )
    if virtual:
        await page.clock.pause_at(await page.evaluate("Date.now() / 1_000 + 1"))
    return page


async def _play(page: Page, server: RoomServer, script: Iterator[Said], step_s: float) -> AsyncIterator[float]:
    """Say what is due, let the page's clock go on, and yield the time, step by step."""
    said, published, now_s = next(script, None), 0, 0.0
    while said is not None:
        now_s += step_s
        while said is not None and said.at_s <= now_s:
            server.publish(said.segment)
            published += 1
            said = next(script, None)
        await _until(page, f"probe.received >= {published}")
        await page.clock.run_for(round(step_s * 1_000))
        yield now_s


async def _until(page: Page, condition: str, within_s: float = 30.0) -> None:
    """Ask until it holds: what polls in the page would wait for the page's clock."""
    ends_at = time.monotonic() + within_s
    while not await page.evaluate(condition):
        if time.monotonic() > ends_at:
            raise TimeoutError(condition)
        await asyncio.sleep(0.002)
