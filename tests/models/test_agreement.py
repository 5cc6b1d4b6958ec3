"""Local agreement: what two readings in a row agree on is committed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.models.agreement import Agreement, Reading, spoken


def words(text: str) -> list[str]:
    return text.split()


def readings(agreement: Agreement, *texts: str) -> list[Reading]:
    return [agreement.update(text.split()) for text in texts]


def reading(committed: str, tentative: str, unsteady: str) -> Reading:
    return Reading(tuple(committed.split()), tuple(tentative.split()), tuple(unsteady.split()))


def test_what_two_readings_agree_on_is_committed_but_for_the_edge() -> None:
    assert readings(
        Agreement(unsteady=1),
        "it was the",
        "it was the best",
        "it was the best of times",
    ) == [
        reading("", "it was", "the"),
        reading("it was the", "", "best"),
        reading("best", "of", "times"),
    ]


def test_what_they_disagree_on_stays_open_and_all_behind_it() -> None:
    assert readings(Agreement(unsteady=0), "it was a best", "it was the best") == [
        reading("", "it was a", "best"),
        reading("it was", "the best", ""),
    ]


def test_case_and_punctuation_are_no_disagreement_and_the_newer_spelling_stands() -> None:
    assert readings(Agreement(unsteady=0), "it was.", "It was,") == [
        reading("", "it", "was."),
        reading("It was,", "", ""),
    ]


def test_the_first_text_is_shown_but_for_its_last_word() -> None:
    assert readings(Agreement(unsteady=3), "it", "it was", "it was the best of times") == [
        reading("", "", "it"),
        reading("", "it", "was"),
        reading("it was", "the", "best of times"),
    ]


def test_the_last_reading_is_committed_whole() -> None:
    agreement = Agreement(unsteady=2)
    readings(agreement, "it was the best", "it was the best of")
    assert agreement.close(words("it was the best of times")) == ("best", "of", "times")


def test_committed_words_stand_whatever_a_later_reading_says_of_them() -> None:
    agreement = Agreement(unsteady=0)
    readings(agreement, "it was the", "it was the")
    assert agreement.update(words("is was the best of")) == reading("", "best of", "")
    assert agreement.close(words("this is nothing like it")) == ("like", "it")


def test_a_word_more_or_less_before_the_committed_ones_moves_the_cut() -> None:
    agreement = Agreement(unsteady=0)
    readings(agreement, "it was the best", "it was the best")
    assert agreement.update(words("oh it was the best of")) == reading("", "of", "")
    assert agreement.update(words("was the best of times")) == reading("of", "times", "")


def test_a_shorter_reading_takes_nothing_back() -> None:
    agreement = Agreement(unsteady=0)
    readings(agreement, "it was the best", "it was the best")
    assert agreement.update(["it"]) == reading("", "", "")
    assert agreement.close([]) == ()


def test_a_word_as_it_sounds() -> None:
    assert [spoken(word) for word in ("Times,", "DON'T!", "l’été", "...")] == ["times", "don't", "lété", ""]


WORDS = st.lists(st.sampled_from(["it", "It,", "was", "the", "best", "..."]), max_size=8)


@given(st.integers(0, 3), st.lists(WORDS, max_size=6), WORDS)
def test_every_reading_is_accounted_for_once(unsteady: int, texts: list[list[str]], last: list[str]) -> None:
    agreement = Agreement(unsteady)
    committed: list[str] = []
    for text in texts:
        got = agreement.update(text)
        behind = (*got.committed, *got.tentative, *got.unsteady)
        assert behind == tuple(text[len(text) - len(behind) :])
        committed += got.committed
    closing = agreement.close(last)
    assert closing == tuple(last[len(last) - len(closing) :])
    if not committed:
        assert closing == tuple(last)


# Where the committed words stand in a later reading


def committed(unsteady: int = 0) -> Agreement:
    """An utterance of which "one two three four" is committed."""
    agreement = Agreement(unsteady)
    readings(agreement, "one two three four", "one two three four")
    return agreement


@pytest.mark.parametrize(
    ("later", "behind"),
    [
        ("one two three four five six", "five six"),
        ("so one two three four five six", "five six"),
        ("well so one two three four five six", "five six"),
        ("two three four five six", "five six"),
        ("three four five six", "five six"),
        ("oh well so one two three four five six", "two three four five six"),
        ("four five six", ""),
        ("a b c d five six", "five six"),
    ],
)
def test_words_before_the_committed_ones_may_come_and_go(later: str, behind: str) -> None:
    assert committed().close(words(later)) == tuple(words(behind))


def test_where_the_committed_words_stand_twice_the_nearest_place_counts() -> None:
    agreement = Agreement(0)
    readings(agreement, "go on", "go on")
    assert agreement.close(words("go on go on then")) == ("go", "on", "then")
    assert agreement.close(words("and go on then")) == ("then",)


def test_two_words_in_a_row_tell_the_place_and_a_single_committed_one_itself() -> None:
    assert committed().close(words("x three four three four five")) == ("five",)
    agreement = Agreement(0)
    readings(agreement, "yes", "yes")
    assert agreement.close(words("oh yes we can")) == ("we", "can")


def test_a_reading_that_ends_with_the_committed_words_has_nothing_behind_them() -> None:
    assert committed().close(words("well one two three four")) == ()
    assert committed().close(words("three four")) == ()
