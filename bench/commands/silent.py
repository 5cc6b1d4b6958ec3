"""What silent participants cost: `python -m bench silent`.

Opus tracks of a quiet room, without DTX and without levels, all on one socket, in real time to a server in a process of
its own: the share of a core that process uses. One line, JSON with --json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

import numpy as np

from bench.servers.own_server import OwnServer, own_server
from captions.client import GATHER_S, Client
from captions.doors.native.messages import Audio
from captions.stream.opus import OPUS_CLOCK, OpusEncoder

__all__ = ["add_to"]

BLOCK = OPUS_CLOCK // 50
DISTINCT_PACKETS = 500
WARM_UP_S = 3.0


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("silent", description=__doc__)
    parser.add_argument("--tracks", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument(
        "--gather-ms", type=float, default=GATHER_S * 1_000, help="0: every packet by itself (default: 20)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    with own_server("moonshine") as server:
        share = asyncio.run(_measure(server, arguments.tracks, arguments.seconds, arguments.gather_ms / 1_000))
    print(f"{arguments.tracks} silent Opus tracks for {arguments.seconds:.0f} s: {share:.1%} of a core")
    if arguments.json is not None:
        figures = {"tracks": arguments.tracks, "seconds": arguments.seconds, "core_share": share}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


async def _measure(server: OwnServer, tracks: int, seconds: float, gather_s: float) -> float:
    noise = np.random.default_rng(0).normal(0, 3e-4, (DISTINCT_PACKETS, BLOCK)).astype(np.float32)
    encoder = OpusEncoder()
    packets = [encoder.encode(block) for block in noise]
    async with Client(server.url, gather_s=gather_s) as client:
        reading = asyncio.create_task(_read(client))
        for number in range(tracks):
            await client.start("silent", f"t{number}", "opus", OPUS_CLOCK)
        await _send(client, packets, tracks, 0, WARM_UP_S)
        before = server.cpu_s()
        took = await _send(client, packets, tracks, int(WARM_UP_S * 50), seconds)
        share = (server.cpu_s() - before) / took
        reading.cancel()
    return share


async def _send(client: Client, packets: list[bytes], tracks: int, first: int, seconds: float) -> float:
    """Every track's packet every 20 ms, spread over the 20 ms; how long it took."""
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    for number in range(first, first + int(seconds * 50)):
        data = packets[number % DISTINCT_PACKETS]
        for track in range(tracks):
            await client.send(Audio(f"t{track}", data, number & 0xFFFF, number * BLOCK & 0xFFFF_FFFF))
            if track % 10 == 9:
                due = began_at + (number - first + track / tracks) / 50
                await asyncio.sleep(max(0.0, due - loop.time()))
    return loop.time() - began_at


async def _read(client: Client) -> None:
    async for _ in client:
        pass
