"""When a word of a growing utterance is committed: once enough of the evidence for it has come together. Pure Python.

Each reading of the utterance has to begin with the committed words, so they never change; what follows them may. Local
agreement (Liu, Spanakis and Niehues, Interspeech 2020; Macháček, Dabre and Bojar, IJCNLP-AACL 2023) commits what two
readings share. Here a word has to gather evidence instead: the margins by which the decoder preferred it, summed over
the readings in a row in which it stood at its place. A word that the decoder is sure of needs one reading, a doubtful
one several. docs/benchmarks.md says what the numbers trade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from captions.models.moonshine.words import HeardWord, spoken

__all__ = ["Commitment", "Update"]

AT_THE_EDGE = (0.5, 0.75)
"""What the margin of a reading's last word is worth, and of the one before it: at the edge of the audio the model
guesses. All count in full once there is a pause behind them."""
ENOUGH = 5.0
ENOUGH_TO_SHOW = 1.75
A_READING = 0.3
"""What having been read again is worth in itself."""
FAR_FROM_EDGE = 4
"""A word with so many words behind it, and read twice, is committed whatever the evidence: people wait for it."""
MOST_AT_ONCE = 2
MOST_WORDS_PER_S = 8.0
"""More than the fastest people say. A reading may have more words behind the committed ones than have been believed,
by what can have been said since at this rate and by `MOST_AT_ONCE`."""


@dataclass(frozen=True, slots=True)
class Update:
    """What one reading came to: `committed` words are new and final, `shown` ones follow them and may change.

    `hidden` ones come last and are not fit to be shown.
    """

    committed: tuple[HeardWord, ...]
    shown: tuple[HeardWord, ...]
    hidden: tuple[HeardWord, ...]


class Commitment:
    """One utterance. Read it so that the reading begins with `tokens`, `update` with it; `close` with the last one,
    or `settle` if there is nothing to read."""

    def __init__(self) -> None:
        self._committed: list[HeardWord] = []
        self._open: tuple[HeardWord, ...] = ()
        self._evidence: list[float] = []
        self._believed = 0.0

    @property
    def words(self) -> int:
        """How many words are committed."""
        return len(self._committed)

    @property
    def is_settled(self) -> bool:
        """The last reading had no word that was not committed."""
        return not self._open

    @property
    def tokens(self) -> tuple[int, ...]:
        """What the next reading has to begin with. The last word's punctuation is left open: speech may go on."""
        if not self._committed:
            return ()
        *before, last = self._committed
        whole = tuple(token for word in before for token in word.tokens)
        return whole + last.tokens[: len(last.tokens) - last.marks]

    @property
    def draft(self) -> tuple[int, ...]:
        """What is likely to follow `tokens`: the last reading."""
        if not self._open:
            return ()
        return tuple(token for word in self._open for token in word.tokens)

    def update(self, reading: Sequence[HeardWord], paused: bool, fresh_s: float) -> Update:
        """A reading. `paused`: nobody has spoken for a moment; `fresh_s`: speech since the last reading, in seconds."""
        behind = tuple(reading[self.words :])
        agreed = self._agreed(behind)
        is_likely = len(behind) <= self._most(fresh_s)
        evidence = self._evidence[:agreed] + [0.0] * (len(behind) - agreed)
        if is_likely:
            evidence = [found + news for found, news in zip(evidence, _evidence(behind, paused), strict=True)]
        committed = 0
        for place, found in enumerate(evidence):
            is_far = len(behind) - 1 - place >= FAR_FROM_EDGE and place < agreed and is_likely
            if found < ENOUGH and not is_far:
                break
            committed += 1
        self._committed += behind[:committed]
        self._open, self._evidence = behind[committed:], evidence[committed:]
        if behind and is_likely:
            self._believed = float(len(self._open))
        else:
            self._believed = max(0.0, self._believed - committed)
        shown = next((n for n, found in enumerate(self._evidence) if found < ENOUGH_TO_SHOW), len(self._open))
        return Update(behind[:committed], self._open[:shown], self._open[shown:])

    def close(self, reading: Sequence[HeardWord], fresh_s: float) -> tuple[HeardWord, ...]:
        """The last reading: all its words behind the committed ones, but for more than can have been said."""
        self._open = tuple(reading[self.words :])[: self._most(fresh_s)]
        return self.settle()

    def settle(self) -> tuple[HeardWord, ...]:
        """Nothing was said since the last reading: its words are final."""
        settled, self._open, self._evidence, self._believed = self._open, (), [], 0.0
        self._committed += settled
        return settled

    def forget(self, words: int) -> None:
        """The audio of the first committed `words` is no longer part of the utterance."""
        del self._committed[:words]

    def _agreed(self, behind: Sequence[HeardWord]) -> int:
        """How many words stand where they stood in the reading before."""
        for place, (before, now) in enumerate(zip(self._open, behind, strict=False)):
            if spoken(before.text) != spoken(now.text):
                return place
        return min(len(self._open), len(behind))

    def _most(self, fresh_s: float) -> int:
        """The most words that can be open now: those believed, and what can have been said since.

        A reading with more words does not count, so that a repeated phrase is not believed for being read again.
        """
        self._believed += fresh_s * MOST_WORDS_PER_S
        return int(self._believed + MOST_AT_ONCE)


def _evidence(words: Sequence[HeardWord], paused: bool) -> list[float]:
    """What one reading says for each of its words."""
    worth = [1.0] * len(words)
    if not paused:
        worth[-2:] = reversed(AT_THE_EDGE[: len(words)])
    return [share * word.margin + A_READING for share, word in zip(worth, words, strict=True)]
