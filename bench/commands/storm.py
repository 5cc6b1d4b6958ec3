"""`bench storm`: clients that vanish, hang and swarm, and whether the server is afterwards what it was before."""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from rich.table import Table

from bench.load.clips import AudioFormat
from bench.load.processes import LoadError
from bench.load.raw_socket import ANSWER_S, frame, plain_socket, upgrade
from bench.load.sender import Target
from bench.load.voices import PacketPool, all_talking, voice_of
from bench.measure.intervals import Figure, exact, percentile_of
from bench.measure.session import run_pass
from bench.report.console import console, finish
from bench.report.results import Result, Run
from bench.servers.own_server import OwnServer, own_server
from captions.client import Client
from captions.doors.native import messages as native
from captions.stream.opus import OPUS_CLOCK

__all__ = ["add_to"]

_SETTLE_S = 120.0
_HOUSEKEEPING_S = 21.0
"""Twice what the server does its own in, so that it has seen that nobody is left."""
_TALKERS = 4
_SPEAKS_EVERY = 20
"""Of so many in the swarm one speaks: fifty a second are about what the rest of a core can hear."""
_MOST_MORE_MB = 20.0
_SAME = ("tasks", "threads", "files")
_GAUGES = {
    "connections": "captions_connections",
    "tracks": "captions_tracks",
    "lanes held": "captions_lanes_in_use",
    "tracks waiting": "captions_tracks_waiting",
}


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "storm",
        description="Kill clients in the middle of speech, leave sockets half open (nothing sent, half a request, a "
        "track that falls mute and answers no ping), and connect and vanish so many times a second while a few others "
        "talk on. After each: tracks, lanes, tasks, threads, files, objects and memory of the server. The swarm comes "
        "twice: the memory that only the first of two takes is kept for the next, and is no leak. Status 1 if anything "
        "is left, or a second swarm takes more memory than the first.",
    )
    parser.add_argument("--rate", type=int, default=1_000, help="connections a second (default: 1000)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the swarm (default: 10)")
    parser.add_argument("--clients", type=int, default=20, help="killed, and left half open of each kind (default: 20)")
    parser.set_defaults(run=run)


@dataclass(slots=True)
class _Swarm:
    """What came of it: how long answers took (ms), how many connections were refused or never answered."""

    answered_ms: list[float] = field(default_factory=list)
    refused: int = 0
    took_s: float = 0.0


def run(arguments: argparse.Namespace) -> int:
    rows: list[tuple[str, ...]] = [("settled in", *_GAUGES, *_SAME, "objects", "memory")]
    runs: list[Run] = []
    with own_server("speaking", 64) as server:
        _talk_a_while(server, 3.0)
        time.sleep(_HOUSEKEEPING_S)
        before = server.health()

        def judge(name: str, began_at: float, figures: dict[str, Figure]) -> None:
            settled_s = _settle(server, began_at)
            time.sleep(_HOUSEKEEPING_S)
            health = server.health()
            gauges = {title: _gauge(server, metric) for title, metric in _GAUGES.items()}
            left = {f"{what}_left": exact(health[what] - before[what], "") for what in _SAME}
            left |= {f"{title.replace(' ', '_')}_left": exact(value, "") for title, value in gauges.items()}
            grown = {"memory_grown": exact(health["resident_mb"] - before["resident_mb"], "MB")}
            grown |= {"objects_grown": exact(health["objects"] - before["objects"], "")}
            runs.append(Run(name, {"settled_in": exact(settled_s, "s"), **left, **grown, **figures}))
            counts = (*gauges.values(), *(health[what] for what in _SAME), health["objects"])
            rows.append(
                (f"{settled_s:.1f} s", *(f"{count:.0f}" for count in counts), f"{health['resident_mb']:.0f} MB")
            )

        judge("at first", time.monotonic(), {})
        with console.status("killing clients"):
            judge("kill -9", _kill(server.url, arguments.clients), {})
        with console.status("leaving sockets half open"), _HalfOpen(server.url, arguments.clients) as half_open:
            judge("half open", half_open.began_at, {})
        for turn in ("first", "second"):
            with console.status(f"{turn} swarm"):
                figures = _swarm_beside_talkers(server, arguments.rate, arguments.seconds)
            judge(f"{turn} swarm", time.monotonic(), figures)
    table = Table("", *(one.name for one in runs))
    for row in zip(*rows, strict=True):
        table.add_row(*row)
    console.print(table)
    for swarm in runs[-2:]:
        console.print(
            ", ".join(
                f"{name.replace('_', ' ')} {f.value:.0f} {f.unit}" for name, f in list(swarm.figures.items())[-6:]
            )
        )
    settings = {name: str(value) for name, value in vars(arguments).items() if name not in ("run", "command")}
    leaks = any(f.value > 0 for one in runs for name, f in one.figures.items() if name.endswith("_left"))
    first_mb, second_mb = (one.figures["memory_grown"].value for one in runs[-2:])
    leaks = leaks or second_mb - first_mb > _MOST_MORE_MB
    return finish(Result("storm", "Clients that vanish, hang and swarm", settings, runs)) or int(leaks)


def _talk_a_while(server: OwnServer, seconds: float) -> None:
    """So that whatever is made once is made."""
    run_pass(Target(server.url), all_talking(_TALKERS, seconds), server)


def _gauge(server: OwnServer, metric: str) -> float:
    return server.metric(metric, **({"route": "native"} if metric == "captions_connections" else {}))


def _settle(server: OwnServer, began_at: float) -> float:
    """Wait until no track and no connection is left, but not for ever; how long after `began_at` that was."""
    until = time.monotonic() + _SETTLE_S
    while time.monotonic() < until:
        if not _gauge(server, "captions_tracks") and not _gauge(server, "captions_connections"):
            break
        time.sleep(0.2)
    return time.monotonic() - began_at


def _kill(url: str, clients: int) -> float:
    """Clients of three talking tracks each, killed at once after some seconds of speech; when that was."""
    context = multiprocessing.get_context("spawn")
    talking = context.Event()
    victim = context.Process(target=_talk_for_ever, args=(url, clients, talking.set), daemon=True)
    victim.start()
    if not talking.wait(60.0) or not victim.is_alive():
        raise LoadError("the clients that were to be killed did not get as far as speaking")
    victim.kill()
    victim.join()
    return time.monotonic()


def _talk_for_ever(url: str, clients: int, ready: Callable[[], None]) -> None:
    asyncio.run(_talk(url, clients, ready))


async def _talk(url: str, clients: int, ready: Callable[[], None]) -> None:
    packets = PacketPool(Target(url).audio_format).packets(all_talking(1, 30.0)[0])
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(_talk_on(url, f"victim{number}", packets))
        await asyncio.sleep(4.0)
        ready()


async def _talk_on(url: str, room: str, packets: tuple[bytes, ...]) -> None:
    async with Client(url) as client:
        reading = asyncio.create_task(_drain(client))
        for track in "abc":
            await client.start(room, track, "opus", OPUS_CLOCK)
        for packet in packets:
            for track in "abc":
                await client.audio(track, packet)
            await asyncio.sleep(0.02)
        await reading


async def _drain(client: Client) -> None:
    async for _ in client:
        pass


class _HalfOpen:
    """Sockets whose other end is as good as gone, though no packet says so: they are kept, and never read again."""

    def __init__(self, url: str, of_each: int) -> None:
        self.began_at = time.monotonic()
        self._sockets = [
            plain_socket(url, said)
            for _ in range(of_each)
            for said in (b"", b"GET /v1/str", upgrade(url), upgrade(url) + _a_track())
        ]

    def __enter__(self) -> _HalfOpen:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._sockets:
            one.close()


@lru_cache(1)
def _a_track() -> bytes:
    """A track and its first second, in which somebody speaks."""
    packets = PacketPool(AudioFormat()).packets(all_talking(1, 1.0)[0])
    messages: list[native.ClientMessage] = [native.Start("storm", "t", "opus")]
    messages += [native.Audio("t", packet) for packet in packets]
    return b"".join(frame(native.encode(message, "msgpack")) for message in messages)


def _swarm_beside_talkers(server: OwnServer, rate: int, seconds: float) -> dict[str, Figure]:
    clip = all_talking(1, seconds)[0].pieces[0][1]
    with ThreadPoolExecutor(1) as beside:
        talking = beside.submit(run_pass, Target(server.url), [voice_of(clip) for _ in range(_TALKERS)])
        time.sleep(2.0)
        swarm = asyncio.run(_swarm(server.url, rate, seconds))
        talkers = talking.result().samples
    figures = {
        "talkers_troubles": exact(len(talkers.troubles), ""),
        "connections_tried": exact(rate * seconds, ""),
        "connections_refused": exact(swarm.refused, ""),
        "swarm_took": exact(swarm.took_s, "s"),
    }
    answered = percentile_of(swarm.answered_ms, 95, "ms")
    overhead = percentile_of(talkers.server.get("overhead", []), 95, "ms")
    figures |= {"answered_p95": answered} if answered else {}
    return figures | ({"talkers_overhead_p95": overhead} if overhead else {})


async def _swarm(url: str, rate: int, seconds: float) -> _Swarm:
    swarm = _Swarm()
    began_at = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began_at + number / rate - time.monotonic()))
            group.create_task(_come_and_go(url, number, swarm))
    swarm.took_s = time.monotonic() - began_at
    return swarm


async def _come_and_go(url: str, number: int, swarm: _Swarm) -> None:
    """Connect, in some cases begin a track and speak, and vanish without a word, in a reset."""
    place = urlsplit(url)
    began_at = time.monotonic()
    writer = None
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            writer.write(upgrade(url))
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 101 "):
                raise ConnectionRefusedError
            swarm.answered_ms.append((time.monotonic() - began_at) * 1_000)
            if number % _SPEAKS_EVERY == 0:
                writer.write(_a_track())
                await reader.read(1_000)
    except (OSError, EOFError):
        swarm.refused += 1
    if writer is not None:
        with suppress(OSError):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
