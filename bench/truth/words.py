"""What was said and when: gold words, and how their times were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import msgspec

__all__ = ["GoldWord", "Spurt", "Truth", "beckett_truth", "read_truth", "two_cities_truth", "write_truth"]

GOLD = Path(__file__).parent / "gold"


@dataclass(frozen=True, slots=True)
class GoldWord:
    """A word and its seconds on the track's media clock."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Spurt:
    """Words `first` to `last` (both in), which no pause divides."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Truth:
    """Gold words in order. `made` says how their times were found and how exact they are."""

    words: tuple[GoldWord, ...]
    made: str
    language: str = "en"

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    def spurts(self, pause_s: float = 0.5) -> tuple[Spurt, ...]:
        """The words between pauses of at least `pause_s`."""
        if not self.words:
            return ()
        breaks = [
            place
            for place in range(1, len(self.words))
            if self.words[place].start - self.words[place - 1].end > pause_s - 1e-9
        ]
        edges = [0, *breaks, len(self.words)]
        return tuple(Spurt(first, after - 1) for first, after in pairwise(edges))

    def shifted(self, by_s: float) -> Truth:
        """The same words, later."""
        return replace(self, words=tuple(replace(w, start=w.start + by_s, end=w.end + by_s) for w in self.words))

    def within(self, start: float, end: float) -> Truth:
        """The words that lie wholly between two positions."""
        return replace(self, words=tuple(w for w in self.words if w.start >= start - 1e-9 and w.end <= end + 1e-9))


def joined(parts: Sequence[Truth]) -> Truth:
    """Several truths of one track, in order of time."""
    words = sorted((word for part in parts for word in part.words), key=lambda word: word.start)
    made = "; ".join(dict.fromkeys(part.made for part in parts))
    return Truth(tuple(words), made, parts[0].language if parts else "en")


def two_cities_truth() -> Truth:
    """The words of two_cities.wav of the package moonshine-voice, aligned once; see bench/align.py."""
    return read_truth(GOLD / "two_cities.json")


def beckett_truth() -> Truth:
    """The words of beckett.wav of the same package, which has no text with it: those of the book that it reads."""
    return read_truth(GOLD / "beckett.json")


def read_truth(path: Path) -> Truth:
    """Gold words from a JSON file as `write_truth` makes it.

    Raises:
        OSError, msgspec.DecodeError: no such file, or not one of ours.
    """
    return msgspec.json.decode(path.read_bytes(), type=Truth)


def write_truth(path: Path, truth: Truth) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(truth), indent=1) + b"\n")
