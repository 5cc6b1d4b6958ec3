"""Words and pauses to caption segments."""

from __future__ import annotations

from itertools import count, groupby, pairwise
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from captions.stream.segments import LINE_CHARS, Revision, Segmenter
from captions.types import Tentative, Word, WordEnd


def words(text: str, start: int = 0) -> tuple[Word, ...]:
    """One word every 100 samples, 80 long."""
    return tuple(Word(w, start + 100 * i, start + 100 * i + 80) for i, w in enumerate(text.split()))


def segmenter() -> Segmenter:
    numbers = count()
    return Segmenter(lambda: f"s{next(numbers)}")


def say(segments: Segmenter, text: str) -> list[Revision]:
    return [caption for word in words(text) for caption in segments.add(word)]


def test_words_grow_one_segment_revision_by_revision() -> None:
    segments = segmenter()
    it, was, the = words("It was the")
    assert segments.add(it) == []
    assert segments.revise() == [Revision("s0", 0, False, (it,), ())]
    assert segments.add(was) == []
    assert segments.add(the) == []
    assert segments.revise() == [Revision("s0", 1, False, (it, was, the), ())]
    assert segments.close() == [Revision("s0", 2, True, (it, was, the), ())]


def test_nothing_changed_gives_no_revision() -> None:
    segments = segmenter()
    assert segments.revise() == []
    say(segments, "It was")
    segments.revise()
    assert segments.revise() == []


def test_a_pause_without_words_closes_nothing() -> None:
    assert segmenter().close() == []


def test_the_next_word_after_a_pause_begins_a_new_segment() -> None:
    segments = segmenter()
    say(segments, "before")
    segments.close()
    say(segments, "after")
    assert segments.revise() == [Revision("s1", 0, False, words("after"), ())]


def test_a_sentence_end_closes_a_segment_longer_than_a_line() -> None:
    segments = segmenter()
    sentence = "It was the best of times, it was the worst."
    assert len(sentence) > LINE_CHARS
    assert say(segments, sentence) == [Revision("s0", 0, True, words(sentence), ())]


def test_a_short_sentence_stays_open() -> None:
    assert say(segmenter(), "It was the best of times.") == []


def test_a_word_that_would_not_fit_two_lines_begins_the_next_segment() -> None:
    segments = segmenter()
    full = " ".join(["twelve-chars"] * 5) + " fill-uppp"
    assert len(full) == 2 * LINE_CHARS
    assert say(segments, full) == []
    more = Word("more", 1_000, 1_080)
    assert segments.add(more) == [Revision("s0", 0, True, words(full), ())]
    assert segments.revise() == [Revision("s1", 0, False, (more,), ())]


def test_a_single_word_longer_than_two_lines_is_a_segment_of_its_own() -> None:
    segments = segmenter()
    endless = "a" * 100
    closed = say(segments, f"short {endless} end")
    assert [c.words for c in closed] == [words("short"), words(f"short {endless}")[1:]]


def test_tentative_words_are_shown_behind_the_committed_ones() -> None:
    segments = segmenter()
    was, best = words("was best")
    segments.guess(Tentative((was, best)))
    assert segments.revise() == [Revision("s0", 0, False, (), (was, best))]
    segments.add(was)
    assert segments.revise() == [Revision("s0", 1, False, (was,), (best,))]
    segments.guess(Tentative(()))
    assert segments.revise() == [Revision("s0", 2, False, (was,), ())]


def test_a_pause_withdraws_tentative_words() -> None:
    segments = segmenter()
    was, best = words("was best")
    segments.add(was)
    segments.guess(Tentative((best,)))
    segments.revise()
    assert segments.close() == [Revision("s0", 1, True, (was,), ())]


def test_a_segment_that_only_showed_tentative_words_is_withdrawn_without_any() -> None:
    segments = segmenter()
    segments.guess(Tentative(words("perhaps")))
    segments.revise()
    assert segments.close() == [Revision("s0", 1, True, (), ())]


def test_tentative_words_nobody_saw_leave_no_trace() -> None:
    segments = segmenter()
    segments.guess(Tentative(words("perhaps")))
    assert segments.close() == []


def test_a_late_word_end_is_shown_with_the_next_revision() -> None:
    segments = segmenter()
    segments.add(Word("It", 100, 150))
    segments.revise()
    segments.end_word(WordEnd(400))
    assert segments.revise() == [Revision("s0", 1, False, (Word("It", 100, 400),), ())]


def test_a_word_never_ends_before_it_starts() -> None:
    segments = segmenter()
    segments.add(Word("It", 100, 150))
    segments.end_word(WordEnd(50))
    assert segments.revise() == [Revision("s0", 0, False, (Word("It", 100, 100),), ())]


def test_a_word_end_after_the_segment_closed_changes_nothing() -> None:
    segments = segmenter()
    say(segments, "It")
    segments.close()
    segments.end_word(WordEnd(4_000))
    assert segments.revise() == []
    assert segments.close() == []


def test_a_caption_spans_its_words() -> None:
    was, best = words("was best", start=500)
    assert (Revision("s", 0, False, (was,), (best,)).start, Revision("s", 0, False, (was,), (best,)).end) == (500, 680)
    assert (Revision("s", 0, True, (was,), ()).start, Revision("s", 0, True, (was,), ()).end) == (500, 580)


Call: TypeAlias = str | tuple[str, ...] | None
CALLS = st.lists(
    st.one_of(
        st.text("ab.", min_size=1, max_size=50),
        st.lists(st.text("xy", min_size=1, max_size=5), max_size=4).map(tuple),
        st.none(),
    )
)


def captions_of(calls: list[Call]) -> list[Revision]:
    """Text: a word is committed. A tuple: it is tentative. None: a pause. After each, what there is to show."""
    segments = segmenter()
    captions: list[Revision] = []
    for at, call in enumerate(calls):
        match call:
            case str():
                captions += segments.add(Word(call, 100 * at, 100 * at + 80))
            case tuple():
                segments.guess(Tentative(tuple(Word(t, 100 * at, 100 * at) for t in call)))
            case None:
                captions += segments.close()
        captions += segments.revise()
    return captions + segments.close()


@given(CALLS)
def test_a_segment_only_ever_grows_and_never_changes_once_final(calls: list[Call]) -> None:
    by_id = {i: list(captions) for i, captions in groupby(captions_of(calls), key=lambda c: c.id)}
    assert list(by_id) == sorted(by_id, key=lambda i: int(i[1:])), "a segment ends before the next begins"
    for captions in by_id.values():
        assert [c.revision for c in captions] == list(range(len(captions)))
        assert [c.final for c in captions] == [False] * (len(captions) - 1) + [True]
        assert captions[-1].tentative == ()
        for before, after in pairwise(captions):
            assert after.words[: len(before.words)] == before.words


@given(CALLS)
def test_every_committed_word_is_in_one_final_segment_of_at_most_two_lines(calls: list[Call]) -> None:
    final = [[word.text for word in c.words] for c in captions_of(calls) if c.final]
    assert [text for texts in final for text in texts] == [call for call in calls if isinstance(call, str)]
    assert all(len(texts) <= 1 or len(" ".join(texts)) <= 2 * LINE_CHARS for texts in final)
