"""Text as Whisper's evaluation compares it: what is said counts, not how it is written.

After the normalisers of Radford and others, "Robust Speech Recognition via Large-Scale Weak Supervision" (2022),
appendix C. For English: no case, punctuation, brackets or fillers; contractions in full; numbers in digits. Left out:
the table of British spellings. For other languages: no case, punctuation, brackets or diacritics.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["normalise", "spoken"]

_FILLERS = re.compile(r"\b(hmm|mm|mhm|mmm|uh|um)\b")
_BRACKETED = re.compile(r"[<\[][^>\]]*[>\]]|\([^)]*\)")
_CONTRACTIONS = (
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\bcan't\b"), "can not"),
    (re.compile(r"\blet's\b"), "let us"),
    (re.compile(r"\bain't\b"), "aint"),
    (re.compile(r"\by'all\b"), "you all"),
    (re.compile(r"\bwanna\b"), "want to"),
    (re.compile(r"\bgotta\b"), "got to"),
    (re.compile(r"\bgonna\b"), "going to"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'s\b"), " is"),
    (re.compile(r"'d\b"), " would"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'m\b"), " am"),
)
_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL = {name: number for number, name in enumerate(re.findall(r"\w+", _UNITS))} | {
    name: 10 * number for number, name in enumerate(re.findall(r"\w+", _TENS), 2)
}
_SCALES = {"thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}


def spoken(word: str) -> str:
    """One displayed word as it sounds: its letters, digits and apostrophes, without case. "" if it has none."""
    return "".join(c for c in word.casefold().replace("’", "'") if c.isalnum() or c == "'")


def normalise(text: str, language: str = "en") -> list[str]:
    """The words of a text, ready to be compared."""
    text = _BRACKETED.sub(" ", text.casefold().replace("’", "'"))
    if language != "en":
        return _without_symbols(text).split()
    text = re.sub(r"\s+'", "'", _FILLERS.sub(" ", text))
    for pattern, full in _CONTRACTIONS:
        text = pattern.sub(full, text)
    text = re.sub(r"(?<=\d),(?=\d)", "", text)
    return _digits(_without_symbols(text).split())


def _without_symbols(text: str) -> str:
    """Marks, symbols and punctuation become spaces; diacritics go."""
    split = unicodedata.normalize("NFKD", text)
    return "".join(
        "" if unicodedata.category(c) == "Mn" else " " if unicodedata.category(c)[0] in "MSP" else c for c in split
    )


def _digits(words: list[str]) -> list[str]:
    """Spelled numbers as digits: "two thousand and six" is "2006", "one two" stays two numbers, "1 2"."""
    out: list[str] = []
    number: _Number | None = None
    for place, word in enumerate(words):
        following = words[place + 1] if place + 1 < len(words) else ""
        if word == "and" and number is not None and number.takes_and and following in _SMALL:
            continue
        if number is not None and number.take(word):
            continue
        if number is not None:
            out.append(str(number.value))
        number = _Number(_SMALL[word]) if word in _SMALL else None
        if number is None:
            out.append(word)
    if number is not None:
        out.append(str(number.value))
    return out


class _Number:
    """A spelled number on its way: what stands before the last scale, and the group of up to three digits under way."""

    def __init__(self, small: int) -> None:
        self._above = 0
        self._group = small
        self.takes_and = False

    @property
    def value(self) -> int:
        return self._above + self._group

    def take(self, word: str) -> bool:
        """Whether `word` goes on with this number."""
        if word == "hundred" and 0 < self._group < 10:
            self._group *= 100
            self.takes_and = True
        elif word in _SCALES and self._group > 0 and (self._above == 0 or _SCALES[word] < self._above):
            self._above += self._group * _SCALES[word]
            self._group = 0
            self.takes_and = True
        elif word in _SMALL and self._fits(_SMALL[word]):
            self._group += _SMALL[word]
            self.takes_and = False
        else:
            return False
        return True

    def _fits(self, small: int) -> bool:
        if self._group % 100 == 0 and self.value > 0:
            return small > 0
        return self._group % 100 >= 20 and self._group % 10 == 0 and 0 < small < 10
