"""Where talkers go, in a simulation: at random, to the emptier of two, to the emptiest as it was known a second ago."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["RULES", "PlacementFigures", "simulate"]

_JOIN_WITHIN_S = 600.0
_SPURT_S = 6.0


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
    """Participants join within ten minutes and stay with their node; each speaks `speaking` of the time, 6 s at once.

    What a rule goes by, the participants of each node, is as old as the last heartbeat, a second.
    """
    rng, chance = random.Random(0), np.random.default_rng(0)
    choose = RULES[rule]
    known = [0] * nodes
    where: NDArray[np.int64] = np.zeros(0, np.int64)
    talks_until = np.zeros(participants)
    wanted = lost = fullest = 0
    for second in range(seconds):
        joining = min(round(participants / _JOIN_WITHIN_S), participants - len(where))
        where = np.concatenate([where, [choose(known, rng, nodes) for _ in range(joining)]]).astype(np.int64)
        known = np.bincount(where, minlength=nodes).tolist()
        talks = talks_until[: len(where)]
        begins = (talks <= second) & (chance.random(len(where)) < speaking / (1 - speaking) / _SPURT_S)
        talks[begins] = second + chance.exponential(_SPURT_S, int(begins.sum()))
        busy = np.bincount(where[talks > second], minlength=nodes)
        wanted += int(busy.sum())
        lost += int(np.maximum(0, busy - lanes).sum())
        fullest = max(fullest, int(busy.max()))
    return PlacementFigures(rule, lost / max(1, wanted), fullest / lanes)
