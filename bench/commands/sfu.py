"""`bench sfu`: people in a room of a real SFU, each captioned under their own name from the RTP that it forwards."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from jiwer import wer
from rich.console import Console

from bench.browser.chromium import chromium_path
from bench.load.clips import CLIP_RATE, Clip, two_cities
from bench.load.processes import LoadError
from bench.measure.events import SentAudio, TrackLog
from bench.measure.intervals import Figure, exact, percentile_of
from bench.measure.metrics import Samples, measure, pooled
from bench.measure.normalise import normalise
from bench.protocols.native import seen_of
from bench.report.console import show
from bench.report.results import FOLDER, Result, Run, keep
from bench.servers.own_server import OwnServer, own_server
from bench.sfu import host
from bench.sfu import janus as sfu
from bench.sfu.browser import Browsing, in_a_browser
from bench.sfu.participant import speaking
from captions.client import watch
from captions.stream.captions import Segment
from captions.stream.srtp import SRTP_KEY_BYTES

__all__ = ["add_to", "missing", "parts"]

_PEOPLE = ("Ada", "Bob", "Cleo")
_ENCRYPTED = "Bob"
"""Whom Janus forwards as SRTP, the others as plain RTP."""
_ROOM = "standup"
_SILENCE_S = 1.5
_LAST_WORDS_S = 6.0


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "sfu",
        description="Three people talk at once in a room of Janus, two without a browser (aiortc) and one in Chromium "
        "whose microphone is a file. Janus forwards each as RTP, one of them encrypted; their captions are shown as "
        "they come. All of it is on a host of its own, a network namespace that leads nowhere. Reports the word error "
        "rate of each, against what they said, by the name that their captions stand under; and how long after a word "
        "was said it stood on the overlay in the same Chromium.",
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
    said = [_after_silence(part.cut(0.0, min(seconds, part.duration_s))) for part in parts(two_cities(), len(_PEOPLE))]
    with own_server(settings={"rtp": {"listen": "127.0.0.1:0"}}) as server:
        talk = asyncio.run(_meet(server, said, screenshot))
        cpu_s = server.cpu_s()
    meeting = Run("three people in a room of Janus", {"server_cpu": exact(cpu_s, "s")})
    finals = [segment for segment in talk.shown if segment.final and segment.words]
    confused = 0
    for name, part in zip(_PEOPLE, said, strict=True):
        mine = " ".join(segment.text for segment in finals if segment.participant.name == name)
        wrong = _wrong(part, mine)
        meeting.figures[f"wer_{name.lower()}"] = exact(wrong * 100, "%", len(part.truth.words))
        confused += any(_wrong(other, mine) <= wrong for other in said if other is not part)
    meeting.figures["under_another_name"] = exact(confused, "people")
    nobodys = [segment for segment in finals if segment.participant.name not in _PEOPLE]
    meeting.figures["under_no_name"] = exact(len(nobodys), "segments")
    meeting.figures.update(_to_pixels(talk, said))
    show(meeting)
    path = keep(
        Result("sfu", "An SFU's room", {"people": ", ".join(_PEOPLE), "seconds": str(seconds)}, [meeting]), results
    )
    print(f"kept as {path.parent.name}/{path.name}; `python -m bench report` draws it")
    return 0


def _wrong(part: Clip, heard: str) -> float:
    """The word error rate of what was heard, if this was said."""
    return float(wer(" ".join(normalise(part.truth.text)), " ".join(normalise(heard)) or "-"))


@dataclass
class _Talk:
    """Every revision that was shown, in order; by name when the audio was said; when a revision was on the screen."""

    shown: list[Segment] = field(default_factory=list)
    said: dict[str, SentAudio] = field(default_factory=dict)
    painted: dict[tuple[str, int], float] = field(default_factory=dict)


def _after_silence(part: Clip) -> Clip:
    """Nobody speaks before the room hears them."""
    pcm = np.concatenate([np.zeros(round(_SILENCE_S * CLIP_RATE), np.float32), part.pcm])
    return Clip(part.name, pcm, part.truth.shifted(_SILENCE_S))


def _to_pixels(talk: _Talk, said: list[Clip]) -> dict[str, Figure]:
    """From when a word had been said until it stood on the page; nothing without a browser."""
    everybody: dict[str, Samples] = {}
    for name, part in zip(_PEOPLE, said, strict=True):
        log = TrackLog(name, talk.said.get(name, SentAudio()))
        for segment in talk.shown:
            at = talk.painted.get((segment.id, segment.revision))
            if at is not None and segment.participant.name == name:
                log.add(seen_of(segment, at))
        if log.seen:
            everybody[name] = measure(log, part.truth)
    words = pooled(everybody.values())
    samples = {
        "capture_to_pixels": words.shown_latency,
        "capture_to_pixels_for_good": words.word_latency,
        "microphone_to_pixels": everybody[_PEOPLE[-1]].shown_latency if _PEOPLE[-1] in everybody else [],
    }
    found = {
        f"{name}_p{percent}": percentile_of(values, percent, "ms")
        for name, values in samples.items()
        for percent in (50, 95)
    }
    return {name: figure for name, figure in found.items() if figure is not None}


async def _meet(server: OwnServer, said: list[Clip], screenshot: Path | None) -> _Talk:
    talk = _Talk()
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(sfu.janus(host.ADDRESS))
        showing = asyncio.create_task(_show(server.url, talk.shown))
        publishers = [await there.publisher() for _ in _PEOPLE]
        browsing: Browsing | None = None
        for name, publisher, part in zip(_PEOPLE, publishers, said, strict=True):
            if name == _PEOPLE[-1] and chromium_path() is not None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                overlay = f"{server.url.replace('ws://', 'http://', 1)}/overlay?room={_ROOM}"
                browsing = await stack.enter_async_context(in_a_browser(publisher, name, part.pcm, folder, overlay))
            else:
                talk.said[name] = await stack.enter_async_context(speaking(publisher, name, part.pcm))
            key = b64encode(secrets.token_bytes(SRTP_KEY_BYTES)).decode() if name == _ENCRYPTED else None
            port, ssrc = _announce(server.url, name, key)
            await publisher.forward("127.0.0.1", port, ssrc, key)
        await asyncio.sleep(max(part.duration_s for part in said) / 2)
        if browsing is not None and screenshot is not None:
            await browsing.reader.screenshot(path=screenshot)
        await asyncio.sleep(max(part.duration_s for part in said) / 2 + _LAST_WORDS_S)
        showing.cancel()
        if browsing is not None:
            talk.said[_PEOPLE[-1]], talk.painted = await browsing.said(), await browsing.painted()
    return talk


async def _show(url: str, shown: list[Segment]) -> None:
    """Keep each revision, and print those that are final under their names, as they come."""
    console = Console()
    began_at = time.monotonic()
    async with watch(url, _ROOM) as segments:
        async for segment in segments:
            if not isinstance(segment, Segment):
                continue
            shown.append(segment)
            if segment.final and segment.words:
                now_s = time.monotonic() - began_at
                console.print(f"[dim]{now_s:5.1f} s[/]  [bold]{segment.participant.name:5}[/] {segment.text}")


def _announce(url: str, name: str, srtp_key: str | None) -> tuple[int, int]:
    """Tell the server of a participant; the port and the source that it expects their packets at."""
    body = {"room": _ROOM, "track": f"mic-{name}", "participant": {"id": name.lower(), "name": name}}
    if srtp_key is not None:
        body["srtp_key"] = srtp_key
    asked = urllib.request.Request(
        url.replace("ws://", "http://", 1) + "/v1/rtp", json.dumps(body).encode(), method="POST"
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        expected = json.loads(answer.read())
    return expected["port"], expected["ssrc"]
