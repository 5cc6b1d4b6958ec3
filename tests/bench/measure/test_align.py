"""Forced alignment finds again what is in the gold file, and says when text and speech do not fit."""

from __future__ import annotations

import pytest

from bench.load.clips import CLIP_RATE, two_cities
from bench.measure.align import AlignmentError, force_align


def test_the_gold_words_are_found_again() -> None:
    clip = two_cities().cut(0.0, 6.5)
    found = force_align(clip.pcm, CLIP_RATE, clip.truth.text)
    assert [word.text for word in found.words] == [word.text for word in clip.truth.words]
    for word, gold in zip(found.words, clip.truth.words, strict=True):
        assert (word.start, word.end) == pytest.approx((gold.start, gold.end), abs=0.035)


def test_a_word_nobody_knows_is_named() -> None:
    clip = two_cities().cut(0.0, 1.0)
    with pytest.raises(AlignmentError, match="xyzzyx"):
        force_align(clip.pcm, CLIP_RATE, "it was xyzzyx")
