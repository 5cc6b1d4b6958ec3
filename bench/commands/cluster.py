"""Several nodes over one Redis: `python -m bench cluster bus | gateway | rooms | away | kills | restarts | placement`.

bus: revisions of many rooms, published by one node and received by the watchers of another. gateway: readers of busy
rooms at one gateway. rooms: many that come and go, three times. away: Redis is away, then a node is cut off from it.
kills, restarts: three nodes of which one is killed, or restarted, again and again, under people who count aloud.
placement: a simulation. Nodes are processes of this machine on loopback ports; with root, Redis is on a host of its
own for away, a network namespace whose links can be cut. A line each, JSON with --json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict
from pathlib import Path

from bench.cluster.away import NODE_CUT_OFF_S, REDIS_AWAY_S, AwayFigures, measure_away
from bench.cluster.bus import measure_bus
from bench.cluster.gateway import GatewayFigures, measure_gateway
from bench.cluster.nodes import NodeFigures, measure_kills, measure_restarts
from bench.cluster.placement import RULES, simulate
from bench.cluster.waves import WaveFigures, measure_waves
from bench.servers.redis_server import redis_server

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("cluster", description=__doc__)
    parser.add_argument("what", choices=("bus", "gateway", "rooms", "away", "kills", "restarts", "placement"))
    parser.add_argument("--rate", type=float, default=1_000.0, help="bus: revisions a second (default: 1000)")
    parser.add_argument("--rooms", type=int, default=200, help="bus, gateway, rooms: so many (default: 200)")
    parser.add_argument("--seconds", type=float, default=10.0, help="bus, gateway: for so long (default: 10)")
    parser.add_argument("--readers", type=int, default=5_000, help="gateway: so many (default: 5000)")
    parser.add_argument("--talkers", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5, help="kills or restarts (default: 5)")
    parser.add_argument("--direct", action="store_true", help="kills or restarts: no one address before the nodes")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    figures = _placement() if arguments.what == "placement" else asyncio.run(_measure(arguments))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def _placement() -> list[dict[str, object]]:
    found = [simulate(rule) for rule in RULES]
    for one in found:
        print(f"{one.rule}: {one.without_lane:.2%} of the speech found no lane, the fullest node had {one.fullest:.0%}")
    return [asdict(one) for one in found]


async def _measure(arguments: argparse.Namespace) -> dict[str, object]:
    if arguments.what == "away":
        return _away(await measure_away(arguments.talkers))
    async with redis_server() as redis:
        if arguments.what == "bus":
            bus = await measure_bus(redis, arguments.rooms, arguments.rate, arguments.seconds)
            added = ", ".join(f"{name} {ms:.1f}" for name, ms in bus.added_ms.items())
            print(
                f"{bus.rate:.0f} revisions a second over {arguments.rooms} rooms: added by the bus {added} ms; "
                f"{bus.missing} missing, {bus.skipped} skipped for a newer one; "
                f"CPU of Redis {bus.redis_cpu:.0%}, of the publishing node "
                f"{bus.publisher_cpu:.0%}, of the receiving {bus.receiver_cpu:.0%}; Redis has {bus.redis_mb:.0f} MB"
            )
            return asdict(bus)
        if arguments.what == "gateway":
            return _gateway(await measure_gateway(redis, arguments.readers, arguments.rooms, arguments.seconds))
        if arguments.what == "rooms":
            return _waves(await measure_waves(redis, arguments.rooms))
        measure = measure_kills if arguments.what == "kills" else measure_restarts
        nodes = await measure(redis, arguments.talkers, arguments.rounds, direct=arguments.direct)
    print(_line(arguments.what, arguments.talkers, nodes))
    return asdict(nodes)


def _gateway(found: GatewayFigures) -> dict[str, object]:
    print(
        f"a gateway: lets readers in after {found.up_after_s:.1f} s, {found.empty_mb:.0f} MB; {found.readers} readers "
        f"of {found.rooms} rooms: {found.each_a_s:.1f} revisions a second each, {found.megabytes_a_s:.1f} MB/s, after "
        f"p50 {found.p50_ms:.0f}, p95 {found.p95_ms:.0f} ms (by room p95 {found.best_p95_ms:.0f} to "
        f"{found.worst_p95_ms:.0f}); {found.full_mb:.0f} MB; {found.lost} lost, a slow one dropped after "
        f"{found.slow_dropped_after_s:.1f} s; CPU of the gateway {found.gateway_cpu:.0%}, "
        f"of Redis {found.redis_cpu:.0%}, of the readers {found.readers_cpu:.0%}"
    )
    return asdict(found)


def _waves(found: list[WaveFigures]) -> dict[str, object]:
    for wave in found:
        nodes, redis = ("/".join(f"{mb:.1f}" for mb in figures) for figures in (wave.nodes_mb, wave.redis_mb))
        print(
            f"{wave.rooms} rooms came and went: before/full/after nodes {nodes} MB, Redis {redis} MB, "
            f"{wave.kb_a_room:.1f} kB a room of one segment; {wave.left} rooms and {len(wave.keys_left)} keys are left"
        )
    return {"waves": [asdict(wave) for wave in found]}


def _away(found: AwayFigures) -> dict[str, object]:
    counted = found.counted
    print(
        f"Redis away for {REDIS_AWAY_S:.0f} s, then a node cut off for {NODE_CUT_OFF_S:.0f} s, under {found.talkers} "
        f"talkers: {counted.said} words said, {counted.lost} lost, {counted.twice} twice, {counted.heard} came back, "
        f"{found.shown} shown to a reader of another node, {found.left_open} segments left open; "
        f"{found.not_ready} times not ready; {len(found.failed)} clients failed"
    )
    return asdict(found)


def _line(what: str, talkers: int, nodes: NodeFigures) -> str:
    counted = nodes.counted
    again = ", ".join(f"{name} {s:.1f}" for name, s in nodes.again_s.items())
    return (
        f"{nodes.rounds} {what} under {talkers} talkers: {nodes.moved} tracks moved"
        + (f"; words again after {again} s" if again else "")
        + f"; {counted.said} words said, {counted.lost} lost, {counted.twice} twice"
        + f"; {counted.gap_s:.1f} s told as gaps, {nodes.interrupted} segments interrupted, "
        + f"{nodes.open_for_ever} left open, {len(nodes.failed)} clients failed"
        + "".join(f"; {why}" for why in sorted(set(nodes.failed)))
    )
