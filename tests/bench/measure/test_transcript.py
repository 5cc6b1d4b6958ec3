"""What stood on the screen and since when, and how much of it stayed."""

from __future__ import annotations

from bench.measure.events import Seen, SeenWord
from bench.measure.stability import Stability, stability
from bench.measure.transcript import FinalWord, Sight, replay


def seen(at: float, unit: str, committed: str = "", tentative: str = "", *, final: bool = False) -> Seen:
    return Seen("t", at, unit, tuple(map(SeenWord, committed.split())), tuple(tentative.split()), final)


def test_words_keep_the_moment_since_which_they_have_stood() -> None:
    history = replay(
        [seen(1.0, "a", "", "A"), seen(2.0, "a", "a", "b"), seen(3.0, "a", "a, c"), seen(4.0, "a", "a c", final=True)]
    )
    assert history.words == (
        FinalWord("a", 1.0, 2.0, 4.0, None, None),
        FinalWord("c", 3.0, 3.0, 4.0, None, None),
    )


def test_units_stand_in_the_order_in_which_they_came() -> None:
    history = replay([seen(1.0, "b", "one", final=True), seen(2.0, "a", "two"), seen(3.0, "a", "two", "three")])
    assert history.sights[-1] == Sight(3.0, ("one", "two", "three"), 2)


def test_a_word_that_moves_to_the_next_unit_in_two_messages_was_not_withdrawn() -> None:
    history = replay(
        [
            seen(1.0, "a", "one", "two"),
            seen(2.0, "a", "one", final=True),
            seen(2.001, "b", "", "two"),
            seen(3.0, "b", "two"),
        ]
    )
    assert stability(history) == Stability(0, 0, 0, words=2, partials=1, partials_lost=0)


def test_words_withdrawn_for_longer_than_a_refresh_count() -> None:
    history = replay([seen(1.0, "a", "one", "two"), seen(2.0, "a", "one", final=True), seen(2.1, "b", "two")])
    assert stability(history) == Stability(1, 1, 0, words=2, partials=1, partials_lost=1)


def test_erasure_by_place_and_behind_a_change() -> None:
    history = replay([seen(1.0, "a", "", "a b c"), seen(2.0, "a", "", "x b c"), seen(3.0, "a", "x b c", final=True)])
    assert stability(history) == Stability(1, 3, 0, words=3, partials=4, partials_lost=1)


def test_a_changed_committed_word_is_told_apart() -> None:
    history = replay([seen(1.0, "a", "one two"), seen(2.0, "a", "one too")])
    assert stability(history) == Stability(1, 1, 1, words=2, partials=0, partials_lost=0)


def test_a_partial_that_was_never_committed_did_not_survive() -> None:
    history = replay([seen(1.0, "a", "one", "two")])
    assert stability(history) == Stability(0, 0, 0, words=1, partials=1, partials_lost=1)


def test_case_and_punctuation_are_no_change() -> None:
    history = replay([seen(1.0, "a", "", "light"), seen(2.0, "a", "Light,"), seen(3.0, "a", "Light. –")])
    assert stability(history) == Stability(0, 0, 0, words=1, partials=1, partials_lost=0)


def test_nothing_seen() -> None:
    assert stability(replay([])) == Stability(0, 0, 0, 0, 0, 0)
