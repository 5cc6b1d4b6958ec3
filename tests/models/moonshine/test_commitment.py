"""A word is committed once enough evidence for it has come together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from captions.models.moonshine.commitment import Commitment, Update
from captions.models.moonshine.words import HeardWord, spoken

SURE, UNSURE = 6.0, 1.0


def word(text: str, margin: float) -> HeardWord:
    """Its letters are its tokens; punctuation behind them are marks."""
    letters = text.rstrip(".,?")
    return HeardWord(text, tuple(map(ord, text)), len(text) - len(letters), margin)


def reading(text: str) -> tuple[HeardWord, ...]:
    """A word with a question mark in front is doubtful: "it ?was the"."""
    return tuple(word(raw.removeprefix("?"), UNSURE if raw.startswith("?") else SURE) for raw in text.split())


def update(commitment: Commitment, text: str, *, paused: bool = False, fresh_s: float = 1.0) -> Update:
    return commitment.update(reading(text), paused, fresh_s)


def texts(update: Update) -> tuple[str, str, str]:
    """What was committed, shown and hidden, as one string each."""
    return (said(update.committed), said(update.shown), said(update.hidden))


def said(words: tuple[HeardWord, ...]) -> str:
    return " ".join(word.text for word in words)


def test_a_sure_word_is_committed_by_one_reading_but_for_the_two_at_the_edge() -> None:
    assert texts(update(Commitment(), "it was the best")) == ("it was", "the best", "")


def test_a_doubtful_word_and_all_behind_it_wait_until_it_was_read_often_enough() -> None:
    commitment = Commitment()
    assert texts(update(commitment, "it ?was the best of")) == ("it", "", "was the best of")
    assert texts(update(commitment, "it ?was the best of")) == ("", "was the best of", "")
    assert texts(update(commitment, "it ?was the best of")) == ("", "was the best of", "")
    assert texts(update(commitment, "it ?was the best of")) == ("was the best of", "", "")


def test_a_word_at_the_edge_is_committed_once_readings_agree_on_it() -> None:
    commitment = Commitment()
    assert texts(update(commitment, "it was")) == ("", "it was", "")
    assert texts(update(commitment, "it was")) == ("it was", "", "")


def test_a_doubtful_word_at_the_edge_is_not_shown() -> None:
    assert texts(update(Commitment(), "it was the ?bet")) == ("it was", "the", "bet")


def test_evidence_is_lost_where_readings_differ() -> None:
    commitment = Commitment()
    for heard in ("?hat", "?hat", "?hat", "?cat", "?cat", "?cat"):
        update(commitment, f"the {heard} sat down")
    assert commitment.words == 1


def test_case_and_punctuation_are_no_difference_and_the_newer_spelling_stands() -> None:
    commitment = Commitment()
    for heard in ("?was", "?Was.", "?was", "?Was,"):
        last = update(commitment, f"it {heard} the best")
    assert said(last.committed) == "Was, the best"


def test_at_a_pause_the_edge_counts_too() -> None:
    assert texts(update(Commitment(), "it was the best", paused=True)) == ("it was the best", "", "")
    assert texts(update(Commitment(), "it was the ?best", paused=True)) == ("it was the", "", "best")


def test_a_word_far_from_the_edge_is_committed_however_doubtful_once_it_was_read_twice() -> None:
    commitment = Commitment()
    line = "?had he married a more amiable woman"
    assert texts(update(commitment, line, fresh_s=2.0))[0] == ""
    assert texts(update(commitment, line, fresh_s=2.0))[0] == line.removeprefix("?")


def test_a_reading_with_more_words_than_can_have_been_said_counts_for_nothing() -> None:
    line = "I am going to go to the hospital"
    assert texts(update(Commitment(), line, fresh_s=0.3)) == ("", "", line)


def test_what_can_have_been_said_is_not_forgotten_for_a_reading_without_words() -> None:
    commitment = Commitment()
    update(commitment, "it was", fresh_s=0.5)
    update(commitment, "", fresh_s=0.5)
    assert said(update(commitment, "it was the age of", fresh_s=0.25).committed) == "it was the"


def test_a_phrase_that_cannot_have_been_said_again_is_not_believed_for_being_read_again() -> None:
    commitment = Commitment()
    update(commitment, "it was the age of wisdom", paused=True)
    echo = "it was the age of wisdom it was the age of wisdom it was"
    for _ in range(2):
        assert update(commitment, echo, fresh_s=0.32).committed == ()
    assert said(update(commitment, "it was the age of wisdom it was the age", fresh_s=0.32).committed) == "it was"


def test_the_next_reading_has_to_begin_with_the_committed_words_their_last_punctuation_left_open() -> None:
    commitment = Commitment()
    assert commitment.tokens == ()
    update(commitment, "so, it was. the best")
    assert commitment.tokens == tuple(map(ord, "so,itwas"))
    assert commitment.draft == tuple(map(ord, "thebest"))


def test_what_lies_behind_the_committed_words_follows_them_whatever_they_are_called_now() -> None:
    commitment = Commitment()
    update(commitment, "it was the best")
    assert texts(update(commitment, "it wasn't the best of times")) == ("the best", "of times", "")


def test_the_last_reading_is_committed_whole_but_for_more_than_can_have_been_said() -> None:
    commitment = Commitment()
    update(commitment, "it was the best")
    assert said(commitment.close(reading("it was the best of times"), 0.5)) == "the best of times"
    assert said(commitment.close(reading("it was the best of times it was the age of wisdom"), 0.2)) == "it was the"


def test_a_reading_that_nothing_followed_can_be_settled() -> None:
    commitment = Commitment()
    update(commitment, "it was the best")
    before = commitment.is_settled
    assert said(commitment.settle()) == "the best"
    assert (before, commitment.is_settled) == (False, True)
    assert commitment.settle() == ()


def test_words_whose_audio_is_gone_are_forgotten() -> None:
    commitment = Commitment()
    update(commitment, "it was the best of times")
    commitment.forget(3)
    assert (commitment.words, commitment.tokens) == (1, tuple(map(ord, "best")))


def test_a_word_as_it_sounds() -> None:
    assert [spoken(word) for word in ("Times,", "DON'T!", "l’été", "...")] == ["times", "don't", "lété", ""]


WORDS = st.lists(st.sampled_from(["it", "It,", "?was", "the", "?best"]), max_size=8).map(" ".join)


@given(st.lists(st.tuples(WORDS, st.booleans(), st.floats(0, 2))), WORDS)
def test_every_word_behind_the_committed_ones_is_accounted_for_once(
    readings: list[tuple[str, bool, float]], last: str
) -> None:
    commitment = Commitment()
    for text, paused, fresh_s in readings:
        before = commitment.words
        found = update(commitment, text, paused=paused, fresh_s=fresh_s)
        whole = (*found.committed, *found.shown, *found.hidden)
        assert whole == reading(text)[before:]
        assert commitment.words == before + len(found.committed)
    before = commitment.words
    closing = commitment.close(reading(last), 10.0)
    assert closing == reading(last)[before:]
