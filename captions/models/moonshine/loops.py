"""Telling a speech model that is caught in a loop from a person who speaks fast. Pure Python.

A model that reads a whole utterance at once now and then says the same few words over and over, until it has said as
much as it may. A fast speaker says as many words, but not the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from captions.models.moonshine.words import spoken

__all__ = ["without_loop"]

FEWEST_TURNS = 3
"""So many times the same words in a row are a loop, if they are also more words than people usually say."""


def without_loop(words: Sequence[str]) -> list[str]:
    """The words up to where they begin to repeat themselves to the end; all of them, if they do not.

    The words of a loop stand once in what is left. Its last turn may be cut off anywhere, even within a word.
    """
    sounds = [spoken(word) for word in words]
    for whole in (len(sounds), len(sounds) - 1):
        for period in range(1, whole // FEWEST_TURNS + 1):
            begins = whole - period
            while begins > 0 and sounds[begins - 1] == sounds[begins - 1 + period]:
                begins -= 1
            if whole - begins >= FEWEST_TURNS * period:
                return list(words[: begins + period])
    return list(words)
