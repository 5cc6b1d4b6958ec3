"""A loop is told from fast speech by what is said, not by how much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.models.moonshine.loops import without_loop

LOOPS = {
    "You are the one who is the one who is the one who is the one who is the": "You are the one who is",
    "Twist twist twist twist twist twist": "Twist",
    "The heart of the heart of the heart of the heart of the": "The heart of",
    "The time of time of time of time of ti": "The time of",
    "We'll see it, we'll see it, we'll see it, we'll see it, we'": "We'll see it,",
    "well it was it was it was it was": "well it was",
}
"""Texts that Moonshine gave for noise, for slowed-down speech and for a short piece of speech over and over."""

SPEECH = [
    "",
    "no",
    "no no",
    "He had written it down and nobody ever read what he had written",
    "it was the best of times it was the worst of times it was the age of wisdom it was the age of foolishness",
    "we had everything before us we had nothing before us we were all going direct to Heaven",
    "one two one two",
]


@pytest.mark.parametrize("looped", LOOPS)
def test_the_words_of_a_loop_stand_once(looped: str) -> None:
    assert " ".join(without_loop(looped.split())) == LOOPS[looped]


@pytest.mark.parametrize("text", SPEECH)
def test_what_people_say_stands_as_it_is(text: str) -> None:
    assert without_loop(text.split()) == text.split()


@given(
    st.lists(st.sampled_from("abcdefgh"), max_size=8, unique=True),
    st.lists(st.sampled_from("nopqrs"), min_size=1, max_size=5, unique=True),
    st.integers(3, 8),
)
def test_whatever_comes_before_a_loop_is_kept(before: list[str], turn: list[str], turns: int) -> None:
    assert without_loop(before + turn * turns) == before + turn


@given(st.lists(st.integers(0, 30).map(str)))
def test_nothing_is_changed_or_moved_only_cut(words: list[str]) -> None:
    kept = without_loop(words)
    assert kept == words[: len(kept)]
    assert without_loop(kept[:2]) == kept[:2]
