"""How many lanes a model gets on a machine, by timing full steps of a few sizes. Pure: the timing is handed in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from captions.types import FRAME_S

__all__ = ["FULL_STEP_S", "Sizing", "choose", "sizes_up_to"]

FULL_STEP_S = 0.6 * FRAME_S
"""The most that a step of all lanes may take, so that lanes which fell behind catch up, and a machine may be busy."""

SIZES = (1, 4, 16, 64, 128, 256, 512)
ROUNDED_LANES = 8
"""More lanes than this are a multiple of it, which is what a GPU's kernels are made for."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """`lanes` to take, by what was `measured`: seconds of a full step by number of lanes, in rising order.

    `fits`: a full step of so many lanes is within the limit. It is false where not even one lane's is.
    """

    lanes: int
    measured: tuple[tuple[int, float], ...]
    fits: bool


def sizes_up_to(most: int) -> list[int]:
    """The sizes to try where `most` lanes fit into memory, and that number itself."""
    return [*(size for size in SIZES if size < most), most]


def choose(step_s: Callable[[int], float], sizes: Iterable[int], limit_s: float = FULL_STEP_S) -> Sizing:
    """As many lanes as keep a full step within `limit_s`: between two of the sizes, in proportion.

    Args:
        step_s: seconds of a full step of so many lanes, which it measures, or infinity where so many do not fit. It is
            not called for larger sizes once a size was over the limit.
        sizes: in rising order, at least one.
    """
    measured: list[tuple[int, float]] = []
    for size in sizes:
        measured.append((size, step_s(size)))
        if measured[-1][1] > limit_s:
            break
    within = [(lanes, taken) for lanes, taken in measured if taken <= limit_s]
    if not within:
        return Sizing(1, _told(measured), fits=False)
    lanes, taken = within[-1]
    if len(within) < len(measured):
        over, over_taken = measured[-1]
        lanes += int((over - lanes) * (limit_s - taken) / (over_taken - taken))
    return Sizing(max(within[-1][0], _rounded(lanes)), _told(measured), fits=True)


def _told(measured: list[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    return tuple((lanes, taken) for lanes, taken in measured if taken < math.inf)


def _rounded(lanes: int) -> int:
    return lanes if lanes < ROUNDED_LANES else lanes // ROUNDED_LANES * ROUNDED_LANES
