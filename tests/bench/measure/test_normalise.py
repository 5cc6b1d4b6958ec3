"""Text as it is compared."""

from __future__ import annotations

import re

import pytest

from bench.measure.normalise import normalise, spoken


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It was the Best of times,", "it was the best of times"),
        ("We can't, won't and shouldn’t", "we can not will not and should not"),
        ("it's <unk> [noise] (laughs) fine", "it is fine"),
        ("Um, I'd say, uh, hmm, yes", "i would say yes"),
        ("twenty-one people, two hundred and six days", "21 people 206 days"),
        ("two thousand and six", "2006"),
        ("one two three", "1 2 3"),
        ("three million four hundred thousand", "3400000"),
        ("salt and pepper and two", "salt and pepper and 2"),
        ("1,000 words", "1000 words"),
        ("naïve café", "naive cafe"),
    ],
)
def test_english(text: str, words: str) -> None:
    assert normalise(text) == words.split()


def test_other_languages_keep_their_words() -> None:
    assert normalise("L’été, c'est à vingt-deux heures !", "fr") == re.findall(
        r"\w+", "l ete c est a vingt deux heures"
    )


@pytest.mark.parametrize(("word", "sound"), [("Light,", "light"), ("don’t", "don't"), ("–", ""), ("42nd", "42nd")])
def test_spoken(word: str, sound: str) -> None:
    assert spoken(word) == sound
