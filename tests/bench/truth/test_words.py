"""Gold words, and the clips that say them."""

from __future__ import annotations

import numpy as np
import pytest

from bench.load.clips import CLIP_RATE, AudioFormat, Clip, compose, packets_of
from bench.measure.normalise import spoken
from bench.truth.words import GoldWord, Spurt, Truth, beckett_truth, two_cities_truth
from captions.cli.demo import TWO_CITIES

ONE_TWO = Truth((GoldWord("one", 0.1, 0.4), GoldWord("two", 0.5, 0.9)), "by hand")


def test_spurts_are_divided_by_pauses() -> None:
    truth = Truth((*ONE_TWO.words, GoldWord("three", 1.4, 1.8)), "by hand")
    assert truth.spurts(0.5) == (Spurt(0, 1), Spurt(2, 2))
    assert truth.spurts(0.05) == (Spurt(0, 0), Spurt(1, 1), Spurt(2, 2))
    assert Truth((), "nothing").spurts() == ()


def test_a_cut_keeps_the_words_that_are_whole() -> None:
    clip = Clip("c", np.zeros(CLIP_RATE, np.float32), ONE_TWO).cut(0.2, 1.0)
    assert clip.duration_s == pytest.approx(0.8)
    (word,) = clip.truth.words
    assert word.text == "two"
    assert [word.start, word.end] == pytest.approx([0.3, 0.7])


def test_composed_speech_has_its_words_where_they_were_laid() -> None:
    clip = Clip("c", np.ones(CLIP_RATE, np.float32), ONE_TWO)
    whole = compose("w", [(1.0, clip), (3.0, clip)], 4.5)
    assert [word.start for word in whole.truth.words] == pytest.approx([1.1, 1.5, 3.1, 3.5])
    assert whole.duration_s == 4.5
    assert whole.pcm.reshape(-1, CLIP_RATE // 2)[:, 0].tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 0]


@pytest.mark.parametrize(("codec", "size"), [("pcm_s16le", 640), ("pcm_f32le", 1_280)])
def test_pcm_packets_hold_their_samples(codec: str, size: int) -> None:
    packets = packets_of(np.zeros(CLIP_RATE // 100 * 5, np.float32), AudioFormat(codec, 16_000))  # type: ignore[arg-type]
    assert [len(packet) for packet in packets] == [size] * 3


def test_opus_packets() -> None:
    packets = packets_of(np.zeros(CLIP_RATE // 10, np.float32), AudioFormat())
    assert len(packets) == 5
    assert all(0 < len(packet) < 200 for packet in packets)


def test_the_gold_words_of_two_cities_are_its_text_in_order_of_time() -> None:
    truth = two_cities_truth()
    assert [spoken(word.text) for word in truth.words] == [spoken(word) for word in TWO_CITIES.split()]
    edges = [edge for word in truth.words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert "pocketsphinx" in truth.made


def test_the_gold_words_of_beckett_are_six_short_sentences() -> None:
    truth = beckett_truth()
    assert truth.text == "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better."
    assert [spurt.last - spurt.first + 1 for spurt in truth.spurts()] == [2] * 6
