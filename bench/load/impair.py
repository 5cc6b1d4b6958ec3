"""What a bad network does to packets: loss, jitter and reordering, from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["Impairment", "deliveries"]


@dataclass(frozen=True, slots=True)
class Impairment:
    """`loss`: share of packets that never come. `jitter_ms`: mean of the exponential extra delay of each packet.
    `reordering`: whether a delayed packet is overtaken by those behind it, or holds them up.
    """

    loss: float = 0.0
    jitter_ms: float = 0.0
    reordering: bool = False

    @property
    def any(self) -> bool:
        return self.loss > 0 or self.jitter_ms > 0


def deliveries(packets: int, packet_s: float, impairment: Impairment, seed: int) -> list[tuple[float, int, bool]]:
    """Per packet, in order of delivery: seconds after the stream began, its number, and whether it arrives at all.

    A packet is sent when its last sample is captured: packet 0 after `packet_s`.
    """
    chance = random.Random(seed)
    due = []
    latest = 0.0
    for number in range(packets):
        delay_s = chance.expovariate(1_000 / impairment.jitter_ms) if impairment.jitter_ms > 0 else 0.0
        at = (number + 1) * packet_s + delay_s
        if not impairment.reordering:
            at = latest = max(at, latest)
        due.append((at, number, chance.random() >= impairment.loss))
    return sorted(due)
