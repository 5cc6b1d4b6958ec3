"""`bench sfu`: people in a room of a real SFU, each captioned under their own name from the RTP that it forwards."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
import wave
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

from jiwer import wer
from playwright.async_api import Page
from rich.console import Console

from bench.browser.chromium import chromium_path
from bench.load.clips import CLIP_RATE, Clip, two_cities
from bench.load.processes import LoadError
from bench.measure.intervals import exact
from bench.measure.normalise import normalise
from bench.report.console import show
from bench.report.results import FOLDER, Result, Run, keep
from bench.servers.own_server import OwnServer, own_server
from bench.sfu import host
from bench.sfu import janus as sfu
from bench.sfu.browser import in_a_browser
from bench.sfu.participant import speaking
from captions.client import watch
from captions.stream.captions import Segment

__all__ = ["add_to", "missing", "parts"]

_PEOPLE = ("Ada", "Bob", "Cleo")
_ROOM = "standup"
_LAST_WORDS_S = 6.0


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "sfu",
        description="Three people talk at once in a room of Janus, two without a browser (aiortc) and one in Chromium "
        "whose microphone is a file. Janus forwards each as RTP; their captions are shown as they come. All of it is "
        "on a host of its own, a network namespace that leads nowhere. Reports the word error rate of each, against "
        "what they said, by the name that their captions stand under.",
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of speech of each, at most (default: 20)")
    parser.add_argument("--screenshot", type=Path, metavar="FILE", help="of the overlay while they talk")
    parser.add_argument("--results", type=Path, default=FOLDER, help="where the JSON is kept (default: bench/results)")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def missing() -> str | None:
    """What cannot be had here, or None."""
    return host.missing() or (None if sfu.janus_path() else sfu.MISSING)


def run(arguments: argparse.Namespace) -> int:
    if arguments.inside:
        return _talk(arguments.seconds, arguments.screenshot, arguments.results)
    lacking = missing()
    if lacking is not None:
        raise LoadError(lacking)
    command = [sys.executable, "-m", "bench", "sfu", "--inside", "--seconds", str(arguments.seconds)]
    command += ["--results", str(arguments.results.resolve())]
    if arguments.screenshot is not None:
        command += ["--screenshot", str(arguments.screenshot.resolve())]
    with host.own_host() as inside:
        return subprocess.run([*inside, *command], check=False).returncode


def parts(clip: Clip, count: int) -> list[Clip]:
    """A clip in so many parts, cut in its pauses."""
    spurts = clip.truth.spurts()
    share = len(spurts) / count
    words = clip.truth.words
    edges = [0.0]
    for part in range(1, count):
        after = spurts[round(part * share)]
        edges.append((words[after.first - 1].end + words[after.first].start) / 2)
    edges.append(clip.duration_s)
    return [clip.cut(start, end) for start, end in pairwise(edges)]


def _talk(seconds: float, screenshot: Path | None, results: Path) -> int:
    said = [part.cut(0.0, min(seconds, part.duration_s)) for part in parts(two_cities(), len(_PEOPLE))]
    with own_server(settings={"rtp": {"listen": "127.0.0.1:0"}}) as server:
        finals = asyncio.run(_meet(server, said, screenshot))
        cpu_s = server.cpu_s()
    meeting = Run("three people in a room of Janus", {"server_cpu": exact(cpu_s, "s")})
    for name, part in zip(_PEOPLE, said, strict=True):
        mine = " ".join(segment.text for segment in finals if segment.participant.name == name)
        wrong = wer(" ".join(normalise(part.truth.text)), " ".join(normalise(mine)) or "-")
        meeting.figures[f"wer_{name.lower()}"] = exact(wrong * 100, "%", len(part.truth.words))
    nobodys = [segment for segment in finals if segment.participant.name not in _PEOPLE]
    meeting.figures["under_no_name"] = exact(len(nobodys), "segments")
    show(meeting)
    path = keep(
        Result("sfu", "An SFU's room", {"people": ", ".join(_PEOPLE), "seconds": str(seconds)}, [meeting]), results
    )
    print(f"kept as {path.parent.name}/{path.name}; `python -m bench report` draws it")
    return 0


async def _meet(server: OwnServer, said: list[Clip], screenshot: Path | None) -> list[Segment]:
    """Everything that was said in final segments, in the order in which it came."""
    finals: list[Segment] = []
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(sfu.janus(host.ADDRESS))
        showing = asyncio.create_task(_show(server.url, finals))
        publishers = [await there.publisher() for _ in _PEOPLE]
        page: Page | None = None
        for name, publisher, part in zip(_PEOPLE, publishers, said, strict=True):
            if name == _PEOPLE[-1] and chromium_path() is not None:
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                overlay = f"{server.url.replace('ws://', 'http://', 1)}/overlay?room={_ROOM}"
                recording = _recorded(part, Path(folder) / "microphone.wav")
                page = await stack.enter_async_context(in_a_browser(publisher, name, recording, overlay))
            else:
                await stack.enter_async_context(speaking(publisher, name, part.pcm))
            port, ssrc = _announce(server.url, name)
            await publisher.forward("127.0.0.1", port, ssrc)
        await asyncio.sleep(max(part.duration_s for part in said) / 2)
        if page is not None and screenshot is not None:
            await page.screenshot(path=screenshot)
        await asyncio.sleep(max(part.duration_s for part in said) / 2 + _LAST_WORDS_S)
        showing.cancel()
    return finals


async def _show(url: str, finals: list[Segment]) -> None:
    """Print each final segment under its name, as it comes."""
    console = Console()
    began_at = time.monotonic()
    async with watch(url, _ROOM) as segments:
        async for segment in segments:
            if isinstance(segment, Segment) and segment.final and segment.words:
                finals.append(segment)
                now_s = time.monotonic() - began_at
                console.print(f"[dim]{now_s:5.1f} s[/]  [bold]{segment.participant.name:5}[/] {segment.text}")


def _announce(url: str, name: str) -> tuple[int, int]:
    """Tell the server of a participant; the port and the source that it expects their packets at."""
    body = {"room": _ROOM, "track": f"mic-{name}", "participant": {"id": name.lower(), "name": name}}
    asked = urllib.request.Request(
        url.replace("ws://", "http://", 1) + "/v1/rtp", json.dumps(body).encode(), method="POST"
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        expected = json.loads(answer.read())
    return expected["port"], expected["ssrc"]


def _recorded(part: Clip, path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(CLIP_RATE)
        file.writeframes((part.pcm * 32_767).astype("<i2").tobytes())
    return path
