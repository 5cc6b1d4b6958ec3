"""What the reader hears: words with the decoder's own doubt about each. Pure Python."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HeardWord", "spoken"]


def spoken(word: str) -> str:
    """A word as it sounds: without case and punctuation, which a later reading may change."""
    return "".join(c for c in word.casefold() if c.isalnum() or c == "'")


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word of a reading.

    `tokens`: what it is written in; the last `marks` of them are the punctuation behind it. `margin`: by how much the
    logit of the token that was taken exceeds that of the best one that sounds otherwise; of its least sure token.
    """

    text: str
    tokens: tuple[int, ...]
    marks: int
    margin: float
