"""A track's captions replayed: what stood on the screen after each change, and since when each word has stood.

The transcript of a track at a moment is all its caption units in the order in which they were first seen: their
committed words, then their tentative ones. Words are compared as they sound (no case, no punctuation). A word that
moves from one unit to the next in two messages has not left the screen: changes within `SIGHT_S`, one refresh of a
screen, are judged together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.measure.events import Seen, SeenWord
from bench.measure.normalise import spoken

__all__ = ["SIGHT_S", "FinalWord", "History", "Sight", "replay"]

SIGHT_S = 1 / 60


@dataclass(frozen=True, slots=True)
class Sight:
    """What stood there from `at` on, as it sounds; the first `committed` words as committed."""

    at: float
    words: tuple[str, ...]
    committed: int


@dataclass(frozen=True, slots=True)
class FinalWord:
    """A word of the last transcript.

    `shown_at`, `committed_at`: since when it has stood there unchanged, at all and as committed; `final_at`: when its
    unit was closed, None if it never was. `start`, `end`: its server's times.
    """

    text: str
    shown_at: float
    committed_at: float
    final_at: float | None
    start: float | None
    end: float | None


@dataclass(frozen=True, slots=True)
class History:
    """`sights` are the changes a person could tell apart; `lengths` is how many words stood there after each message,
    tentative ones too; `words` is how it ended.
    """

    sights: tuple[Sight, ...]
    lengths: tuple[tuple[float, int], ...]
    words: tuple[FinalWord, ...]


@dataclass(slots=True)
class _Standing:
    text: str
    since: float


def replay(seen: Sequence[Seen]) -> History:
    """The history of one track. Tentative words that were never committed are not among its `words`."""
    shown: list[_Standing] = []
    committed: list[_Standing] = []
    sights: list[Sight] = []
    lengths: list[tuple[float, int]] = []
    last: _State | None = None
    for state in _states(seen):
        _stand(shown, state.words, state.at)
        _stand(committed, state.words[: state.committed], state.at)
        lengths.append((state.at, len(state.words)))
        sight = Sight(state.at, state.words, state.committed)
        if sights and state.at - sights[-1].at < SIGHT_S:
            sights[-1] = Sight(sights[-1].at, sight.words, sight.committed)
        else:
            sights.append(sight)
        last = state
    if last is None:
        return History((), (), ())
    words = tuple(
        FinalWord(word.text, seen_word.since, fixed.since, final_at, word.start, word.end)
        for word, final_at, seen_word, fixed in zip(last.final_words, last.final_at, shown, committed, strict=False)
    )
    return History(tuple(sights), tuple(lengths), words)


def _stand(standing: list[_Standing], words: Sequence[str], at: float) -> None:
    """Bring what stands up to date; words that stay where they were keep their time."""
    del standing[len(words) :]
    for place, word in enumerate(words):
        if place == len(standing):
            standing.append(_Standing(word, at))
        elif standing[place].text != word:
            standing[place] = _Standing(word, at)


@dataclass(frozen=True, slots=True)
class _State:
    """The whole transcript after one message."""

    at: float
    words: tuple[str, ...]
    committed: int
    final_words: list[SeenWord]
    final_at: list[float | None]


@dataclass(slots=True)
class _Unit:
    committed: list[SeenWord]
    tentative: list[str]
    final_at: float | None


def _states(seen: Sequence[Seen]) -> Iterator[_State]:
    units: dict[str, _Unit] = {}
    for caption in seen:
        before = units.get(caption.unit)
        closed_at = before.final_at if before is not None else None
        units[caption.unit] = _Unit(
            [word for word in caption.committed if spoken(word.text)],
            [sound for sound in map(spoken, caption.tentative) if sound],
            caption.at if caption.final and closed_at is None else closed_at,
        )
        words = [word for unit in units.values() for word in unit.committed]
        guesses = [sound for unit in units.values() for sound in unit.tentative]
        yield _State(
            at=caption.at,
            words=(*(spoken(word.text) for word in words), *guesses),
            committed=len(words),
            final_words=words,
            final_at=[unit.final_at for unit in units.values() for _ in unit.committed],
        )
