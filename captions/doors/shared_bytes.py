"""A bound on what many keep together, so that no number of clients who do not read fills the memory."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Keeper", "SharedBytes"]


class Keeper(Protocol):
    """Somebody who keeps payloads for a client."""

    @property
    def kept_bytes(self) -> int: ...

    def shed(self) -> None:
        """Let go of at least a part of what is kept, and tell `changed` so."""


class SharedBytes:
    """Every keeper calls `changed` whenever it keeps more or less; past `most` the one that keeps most has to shed.

    So it costs whoever reads slowest, never whoever happens to be sent something. A payload that several keep counts
    for each of them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[Keeper, int] = {}
        self._total = 0

    @property
    def total(self) -> int:
        """Bytes that all keep together."""
        return self._total

    @property
    def share(self) -> float:
        """How much of what may be kept is, 0 to 1."""
        return self._total / self._most

    def changed(self, keeper: Keeper) -> None:
        """Take note of how much a keeper keeps by now."""
        kept = keeper.kept_bytes
        self._total += kept - self._kept.pop(keeper, 0)
        if kept:
            self._kept[keeper] = kept
        while self._total > self._most:
            max(self._kept, key=self._kept.__getitem__).shed()
