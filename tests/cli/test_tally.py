"""The figures of one captioned clip, from hand-made segments."""

from __future__ import annotations

import json

import pytest

from captions.cli.tally import Tally, percentile, plain
from captions.doors.native.messages import CaptionWord, Latency, Participant, Segment


def segment(
    name: str, revision: int, text: str, tentative: str = "", latency: Latency | None = None, *, final: bool = False
) -> Segment:
    words = [CaptionWord(word, 0.0, 0.1) for word in text.split()]
    return Segment(
        "r", "t", Participant("p"), name, revision, final, 0.0, 0.1, text, words, latency or Latency(), tentative
    )


def tally(truth: str, *segments: Segment) -> Tally:
    figures = Tally(truth)
    for each in segments:
        figures.add(each)
    return figures


CLIP = tally(
    "It was the best of times.",
    segment("a", 0, "", "it was a", Latency(first_partial=600.0)),
    segment("a", 1, "It was", "the best", Latency(word_latency=400.0)),
    segment("a", 2, "It was the best", latency=Latency(word_latency=500.0)),
    segment("a", 3, "It was the best", latency=Latency(ttfs=300.0), final=True),
    segment("b", 0, "of", latency=Latency(word_latency=900.0, first_partial=800.0)),
    segment("b", 1, "of time", latency=Latency(word_latency=700.0, ttfs=500.0), final=True),
)


def test_the_figures_of_a_clip() -> None:
    CLIP.last_words_after_end_s = 0.25
    assert CLIP.measured() == {
        "words": 6,
        "wer": pytest.approx(1 / 6),
        "first_partial_p50_ms": 600.0,
        "ttfs_p50_ms": 300.0,
        "word_latency_p50_ms": 500.0,
        "word_latency_p95_ms": 900.0,
        "erasure_committed": 0.0,
        "erasure_shown": pytest.approx(1 / 6),
        "last_words_after_end_ms": 250.0,
    }


def test_the_figures_as_a_person_reads_them() -> None:
    CLIP.last_words_after_end_s = 0.25
    assert CLIP.figures() == {
        "words": "6 of 6",
        "word error rate": "16.7%",
        "first_partial, median": "600 ms",
        "time to final segment, median": "300 ms",
        "word_latency, median · p95": "500 ms · 900 ms",
        "last words after the end": "250 ms",
        "erasure, committed · shown": "0.00 · 0.17",
    }


def test_the_figures_as_json() -> None:
    CLIP.last_words_after_end_s = 0.25
    assert json.loads(CLIP.json()) == CLIP.measured()


def test_nothing_said_is_all_wrong() -> None:
    assert tally("It was").measured() == {
        "words": 0,
        "wer": 1.0,
        "first_partial_p50_ms": None,
        "ttfs_p50_ms": None,
        "word_latency_p50_ms": None,
        "word_latency_p95_ms": None,
        "erasure_committed": 0.0,
        "erasure_shown": 0.0,
        "last_words_after_end_ms": None,
    }


@pytest.mark.parametrize(
    ("shown", "committed", "all_shown"),
    [
        ([("It", "was a"), ("It was", "a")], 0, 0),
        ([("It", "was a"), ("It was", "the")], 0, 1),
        ([("It", "was a"), ("It", "")], 0, 2),
        ([("It was", ""), ("It is", "")], 1, 1),
        ([("It was", ""), ("It", "")], 1, 1),
        ([("", "it WAS,"), ("It was", "")], 0, 0),
    ],
    ids=["grows", "a word changes", "words withdrawn", "committed changes", "committed withdrawn", "only spelling"],
)
def test_erasure_counts_words_that_no_longer_stand(
    shown: list[tuple[str, str]], committed: int, all_shown: int
) -> None:
    revisions = [segment("a", n, text, tentative) for n, (text, tentative) in enumerate(shown)]
    final = segment("b", 0, "one two three four", final=True)
    measured = tally("x", *revisions, final).measured()
    assert (measured["erasure_committed"] * 4, measured["erasure_shown"] * 4) == (committed, all_shown)


def test_segments_count_in_the_order_of_their_ids() -> None:
    later, earlier = segment("b", 0, "of times", final=True), segment("a", 0, "the best", final=True)
    assert tally("the best of times", later, earlier).measured()["wer"] == 0.0


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([7.0], 0.5, 7.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([1.0, 2.0], 0.5, 1.0),
        ([float(n) for n in range(1, 21)], 0.95, 19.0),
        ([float(n) for n in range(1, 101)], 0.95, 95.0),
        ([1.0, 2.0, 3.0], 1.0, 3.0),
    ],
)
def test_the_nearest_rank_percentile(values: list[float], share: float, expected: float | None) -> None:
    assert percentile(values, share) == expected


def test_words_as_they_sound() -> None:
    assert plain("It was - the BEST; don't!") == ["it", "was", "the", "best", "don't"]
