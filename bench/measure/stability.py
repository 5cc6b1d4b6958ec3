"""How much of what was shown stayed: erasure and the share of partial words that did not survive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.measure.transcript import History, Sight

__all__ = ["Stability", "stability"]


@dataclass(frozen=True, slots=True)
class Stability:
    """Counts of one track.

    `erased`: words shown, then changed or withdrawn, counted by their place. `erased_behind`: the same, with every word
    behind a change counted too (the normalised erasure of Arivazhagan and others, 2020). `erased_committed`: committed
    words among `erased`. `words`: words that stand at the end. `partials`: words first shown while they could still
    change; `partials_lost`: those that did not stand until they were committed and on to the end.
    """

    erased: int
    erased_behind: int
    erased_committed: int
    words: int
    partials: int
    partials_lost: int


@dataclass(frozen=True, slots=True)
class _Standing:
    word: str
    partial: bool


def stability(history: History) -> Stability:
    """The counts of one track's history."""
    erased = behind = erased_committed = partials = lost = 0
    standing: list[_Standing] = []
    committed = 0
    for sight in history.sights:
        gone = _gone(standing, sight)
        erased += len(gone)
        behind += len(standing) - gone[0] if gone else 0
        erased_committed += sum(1 for place in gone if place < committed)
        lost += sum(1 for place in gone if standing[place].partial)
        kept = set(range(len(standing))).difference(gone)
        partials += sum(1 for place in range(sight.committed, len(sight.words)) if place not in kept)
        standing = [
            standing[place] if place in kept else _Standing(word, place >= sight.committed)
            for place, word in enumerate(sight.words)
        ]
        committed = sight.committed
    lost += sum(1 for one in standing[committed:] if one.partial)
    return Stability(erased, behind, erased_committed, len(history.words), partials, lost)


def _gone(standing: Sequence[_Standing], sight: Sight) -> list[int]:
    """The places whose word is no longer there."""
    return [place for place, one in enumerate(standing) if place >= len(sight.words) or sight.words[place] != one.word]
