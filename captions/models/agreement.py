"""Local agreement: what two readings in a row of a growing utterance agree on is committed, the rest may change.

For models that read an utterance anew at each update, so that their last words change as more is heard. After Liu,
Spanakis and Niehues, "Low-Latency Sequence-to-Sequence Speech Recognition and Translation by Partial Hypothesis
Selection" (Interspeech 2020), and Macháček, Dabre and Bojar, "Turning Whisper into Real-Time Transcription System"
(IJCNLP-AACL 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Agreement", "Reading", "spoken"]


def spoken(word: str) -> str:
    """A word as it sounds: without case and punctuation, which a later reading may change."""
    return "".join(c for c in word.casefold() if c.isalnum() or c == "'")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one update came to: `committed` words are new and final, `tentative` ones follow them and may change.

    `unsteady` ones come last and are not fit to be shown.
    """

    committed: tuple[str, ...]
    tentative: tuple[str, ...]
    unsteady: tuple[str, ...]


class Agreement:
    """One utterance. Call `update` with each reading of all its words so far, then `close` with the last one.

    The last `unsteady` words of a reading lie at the edge of the audio, where the model guesses: they are neither
    committed nor shown. The first text of an utterance is an exception, because people wait for it: all of it but the
    last word is shown.
    """

    def __init__(self, unsteady: int) -> None:
        self._unsteady = unsteady
        self._committed: list[str] = []
        self._previous: list[str] = []
        self._begun = False

    def update(self, words: Sequence[str]) -> Reading:
        """A reading of the utterance so far."""
        behind = self._behind_committed(words)
        steady = max(0, len(behind) - self._unsteady)
        agreed = 0
        for ours, theirs in zip(self._previous, behind[:steady], strict=False):
            if spoken(ours) != spoken(theirs):
                break
            agreed += 1
        shown = max(agreed, steady if self._begun else len(behind) - 1)
        self._begun = self._begun or shown > 0
        self._committed += behind[:agreed]
        self._previous = behind[agreed:]
        return Reading(tuple(behind[:agreed]), tuple(behind[agreed:shown]), tuple(behind[shown:]))

    def close(self, words: Sequence[str]) -> tuple[str, ...]:
        """The last reading: all its words behind the committed ones, which stand whatever it says of them."""
        return tuple(self._behind_committed(words))

    def _behind_committed(self, words: Sequence[str]) -> list[str]:
        """The words of a reading that follow the committed ones.

        A later reading may have one word more or less before them, so the cut is where the last committed words
        stand in it, as near as possible to where they stood.
        """
        count = len(self._committed)
        if count == 0:
            return list(words)
        tail = [spoken(w) for w in self._committed[-2:]]
        sounds = [spoken(w) for w in words]
        for shift in (0, 1, -1, 2, -2):
            end = count + shift
            if len(tail) <= end <= len(sounds) and sounds[end - len(tail) : end] == tail:
                return list(words[end:])
        return list(words[count:])
