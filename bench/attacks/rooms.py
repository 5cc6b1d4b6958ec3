"""Rooms that nobody needs, names that nobody has, transcripts asked for over and over, addresses that are none."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from urllib.parse import quote, urlsplit

from bench.attacks.attack import GUEST, WATCHER, Attack, Site, audio_frames, frames_of, speech_packets
from bench.load.raw_socket import RawSocket, Refused
from captions.doors.native.messages import FlushRequest, Start

__all__ = ["ATTACKS", "get"]

_ROOMS_A_SECOND = 400
_AT_ONCE = 20
_SPEAKERS = 20
_KEEPS = {"rooms": {"transcript_segments": 1_000}}


async def get(site: Site, path: str, key: str = "") -> bytes:
    """A plain answer, b"" if there is none."""
    place = urlsplit(site.url)
    headers = f"Host: {place.netloc}\r\n" + (f"Authorization: Bearer {key}\r\n" if key else "")
    with suppress(OSError):
        reader, writer = await asyncio.open_connection(place.hostname, place.port, local_addr=("127.0.0.2", 0))
        writer.write(f"GET {path} HTTP/1.1\r\n{headers}\r\n".encode())
        answer = await reader.read(-1)
        writer.close()
        return answer
    return b""


async def _watched_rooms(site: Site) -> None:
    began_at, number = time.monotonic(), 0
    async with asyncio.TaskGroup() as group:
        while not site.is_over:
            await asyncio.sleep(max(0.0, began_at + number / _ROOMS_A_SECOND - time.monotonic()))
            group.create_task(_look_in(site, f"/v1/rooms/{number:0128d}/captions"))
            number += 1


async def _look_in(site: Site, path: str) -> None:
    with suppress(OSError, Refused):
        (await RawSocket.open(site.url, path, key=WATCHER, source="127.0.0.2")).reset()


async def _long_names(site: Site) -> None:
    """Names of 7,000 characters and names with a new line, on Kyutai's door, into the bystanders' room."""
    names = ["n" * 7_000, quote("a\nb"), quote("<script>")]
    while not site.is_over:
        for name in names:
            await _look_in_as_speaker(site, f"/api/asr-streaming?room=daily&name={name}&participant=p")
        await asyncio.sleep(0.01)


async def _look_in_as_speaker(site: Site, path: str) -> None:
    with suppress(OSError, Refused):
        (await RawSocket.open(site.url, path, key=GUEST, source="127.0.0.2")).reset()


async def _transcripts(site: Site) -> None:
    """A room with hundreds of segments, whose transcript is asked for by twenty at once."""
    starts = [Start("attack", f"t{number}", "opus") for number in range(_SPEAKERS)]
    async with site.publisher(*starts) as one:
        for at in range(0, 100, 20):
            for start in starts:
                await one.send(audio_frames(start.track, speech_packets()[at : at + 20]))
                await one.send(frames_of(FlushRequest(start.track, "f")))
            await asyncio.sleep(0.4)
        asking = [asyncio.create_task(_ask(site, f"/v1/rooms/attack/transcript.{form}")) for form in _forms()]
        await asyncio.gather(*asking)


def _forms() -> list[str]:
    return ["vtt", "srt", "txt", "json"] * (_AT_ONCE // 4)


async def _ask(site: Site, path: str) -> None:
    while not site.is_over:
        await get(site, path, WATCHER)


async def _nonsense_addresses(site: Site) -> None:
    async def ask(path: str) -> None:
        while not site.is_over:
            await get(site, path)

    paths = ["//[", "/v1/rooms/%00/captions", "/" + "x" * 8_000, "/v1/rooms/a/transcript.exe", "http://[::1/"]
    await asyncio.gather(*(ask(path) for path in paths))


ATTACKS = (
    Attack("watched-rooms", "400 rooms a second that nobody speaks in", _watched_rooms),
    Attack("long-names", "names that no one has, on Kyutai's door", _long_names),
    Attack("transcripts", "a transcript asked for by twenty at once, over and over", _transcripts, _KEEPS),
    Attack("nonsense-addresses", "addresses that are none", _nonsense_addresses),
)
