"""The words and pauses of one track become segments, which only ever grow and are closed once.

A segment closes

- when its spurt is over and every word of it is out, or the model hears a pause;
- at a sentence end, once it is longer than a line;
- before a word that would make it longer than two lines.

Subtitle practice (BBC subtitle guidelines): two lines of about 37 characters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from captions.types import Tentative, Word, WordEnd

__all__ = ["LINE_CHARS", "Revision", "Segmenter"]

LINE_CHARS = 37
MOST_CHARS = 2 * LINE_CHARS
_SENTENCE_ENDS = (".", "?", "!", "…")


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a segment.

    `words` only grow from revision to revision, `tentative` may change until `final`. A final revision without words
    withdraws one that had shown nothing but tentative text.
    """

    id: str
    revision: int
    final: bool
    words: tuple[Word, ...]
    tentative: tuple[Word, ...]

    @property
    def start(self) -> int:
        return (self.words or self.tentative)[0].start if self.words or self.tentative else 0

    @property
    def end(self) -> int:
        return (self.tentative or self.words)[-1].end if self.words or self.tentative else 0


class Segmenter:
    """One track. Every call returns the revisions that came of it, oldest first; `new_id` names a new segment."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._open: Revision | None = None
        self._shown: Revision | None = None

    def add(self, word: Word) -> list[Revision]:
        """The next committed word. Tentative words stay until the model replaces them."""
        closed = []
        if self._open is not None and self._chars(self._open.words) + 1 + len(word.text) > MOST_CHARS:
            closed = self.close()
        revision = self._open or self._begin()
        self._open = revision = replace(revision, words=(*revision.words, word), tentative=revision.tentative[1:])
        if word.text.endswith(_SENTENCE_ENDS) and self._chars(revision.words) > LINE_CHARS:
            closed += self.close()
        return closed

    def end_word(self, word_end: WordEnd) -> None:
        """Put the end of the newest word right; shown with the next revision."""
        if self._open is not None and self._open.words:
            *before, last = self._open.words
            ended = structs.replace(last, end=max(last.start, word_end.end), open=False)
            self._open = replace(self._open, words=(*before, ended))

    def guess(self, tentative: Tentative) -> None:
        """What may come next; shown with the next revision."""
        if self._open is None and tentative.words:
            self._begin()
        if self._open is not None:
            self._open = replace(self._open, tentative=tentative.words)

    def close(self) -> list[Revision]:
        """A pause: the segment under way is final, and its tentative words are gone."""
        last, self._open, shown, self._shown = self._open, None, self._shown, None
        if last is None or not (last.words or shown):
            return []
        return [replace(last, revision=last.revision + 1, final=True, tentative=())]

    def revise(self) -> list[Revision]:
        """The segment under way, if it changed since it was last shown."""
        if self._open is None or self._same(self._open, self._shown):
            return []
        self._open = self._shown = replace(self._open, revision=self._open.revision + 1)
        return [self._open]

    def _begin(self) -> Revision:
        self._open = Revision(self._new_id(), -1, False, (), ())
        return self._open

    @staticmethod
    def _chars(words: Sequence[Word]) -> int:
        return sum(len(word.text) + 1 for word in words) - 1

    @staticmethod
    def _same(revision: Revision, shown: Revision | None) -> bool:
        if shown is None:
            return not (revision.words or revision.tentative)
        return revision.words == shown.words and revision.tentative == shown.tentative
