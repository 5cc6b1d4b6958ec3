"""Where talkers go, in a simulation: at random, to the emptier of two, to the emptiest as it was known a second ago."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["RULES", "PlacementFigures", "simulate"]

_KNOWN_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class PlacementFigures:
    """Of the simulated hour: how much speech found no lane, and the fullest node's lanes at the worst moment."""

    rule: str
    without_lane: float
    fullest: float


def _random(_: Sequence[int], rng: random.Random, nodes: int) -> int:
    return rng.randrange(nodes)


def _emptier_of_two(known: Sequence[int], rng: random.Random, nodes: int) -> int:
    return min(rng.sample(range(nodes), 2), key=known.__getitem__)


def _emptiest(known: Sequence[int], rng: random.Random, nodes: int) -> int:
    return min(range(nodes), key=lambda node: (known[node], rng.random()))


RULES: dict[str, Callable[[Sequence[int], random.Random, int], int]] = {
    "random": _random,
    "emptier of two": _emptier_of_two,
    "emptiest known": _emptiest,
}


def simulate(
    rule: str,
    participants: int = 20_000,
    nodes: int = 51,
    lanes: int = 64,
    speaking: float = 0.13,
    seconds: int = 3_600,
) -> PlacementFigures:
    """Participants join within ten minutes and stay with their node; each speaks for 6 s at a time, `speaking` of it.

    What a rule goes by, the participants of each node, is as old as the last heartbeat.
    """
    rng = random.Random(0)
    choose = RULES[rule]
    at = [0] * nodes
    known = list(at)
    talks_until: list[float] = []
    where: list[int] = []
    joining = participants / 600.0
    wanted = lost = 0
    fullest = 0
    for second in range(seconds):
        for _ in range(round(min(joining, participants - len(where)))):
            node = choose(known, rng, nodes)
            at[node] += 1
            where.append(node)
            talks_until.append(0.0)
        known = list(at)
        busy = [0] * nodes
        for who, node in enumerate(where):
            if talks_until[who] <= second and rng.random() < speaking / (1 - speaking) / 6.0:
                talks_until[who] = second + rng.expovariate(1 / 6.0)
            busy[node] += talks_until[who] > second
        wanted += sum(busy)
        lost += sum(max(0, count - lanes) for count in busy)
        fullest = max(fullest, *busy)
    return PlacementFigures(rule, lost / max(1, wanted), fullest / lanes)
