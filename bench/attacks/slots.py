"""Everything that a server has so many of, taken: tracks, connections, places for watchers."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress

from bench.attacks.attack import GUEST, WATCHER, Attack, Site, audio_frames, frames_of, speech_packets
from bench.load.raw_socket import RawSocket, Refused
from captions.doors.native.messages import Start

__all__ = ["ATTACKS"]

_CONNECTIONS = 4
_TRACKS_EACH = 500
_WATCHERS = 2_000
_SWARM_A_SECOND = 300
_TRACKS = [Start("attack", f"t{number}", "opus") for number in range(_TRACKS_EACH)]
_FEW = {"publish": ["the-bystanders-key", {"key": GUEST, "tracks": 1_000, "connections": 500}], "watch": [WATCHER]}


async def _all_tracks(site: Site) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(_CONNECTIONS):
            await stack.enter_async_context(site.publisher(*_TRACKS))
        await site.until_over()


async def _tracks_and_gone(site: Site) -> None:
    for _ in range(_CONNECTIONS):
        async with site.publisher(*_TRACKS):
            await asyncio.sleep(0.25)
    await site.until_over()


async def _idle_watchers(site: Site) -> None:
    async with site.crowd(_WATCHERS, 5, path="/v1/rooms/attack/captions", key=WATCHER):
        await site.until_over()


async def _idle_publishers(site: Site) -> None:
    async with site.crowd(_WATCHERS, 5):
        await site.until_over()


async def _swarm(site: Site) -> None:
    """Connections that begin a track, in every twentieth case speak for a second, and vanish."""
    began_at = time.monotonic()
    spoken = frames_of(Start("attack", "t", "opus")) + audio_frames("t", speech_packets()[:50])
    async with asyncio.TaskGroup() as group:
        number = 0
        while not site.is_over:
            await asyncio.sleep(max(0.0, began_at + number / _SWARM_A_SECOND - time.monotonic()))
            group.create_task(_come_and_go(site, spoken if number % 20 == 0 else b""))
            number += 1


async def _come_and_go(site: Site, said: bytes) -> None:
    with suppress(OSError, Refused):
        async with await RawSocket.open(site.url, key=GUEST, source="127.0.0.2") as one:
            await one.send(said)


ATTACKS = (
    Attack("all-tracks", "four connections of a limited key ask for all tracks and stay", _all_tracks, {"keys": _FEW}),
    Attack("tracks-and-gone", "four connections take all tracks and vanish", _tracks_and_gone),
    Attack("idle-watchers", "2,000 watchers who do nothing", _idle_watchers),
    Attack("idle-publishers", "2,000 connections of a limited key that do nothing", _idle_publishers, {"keys": _FEW}),
    Attack("swarm", "300 connections a second that vanish", _swarm),
)
