"""Speech put together: every word where the truth says it is."""

from __future__ import annotations

import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.commands.accuracy import with_noise
from bench.load.clips import CLIP_RATE, AudioFormat, Clip, compose
from bench.load.voices import PacketPool, Voice, all_talking, in_meetings
from bench.truth.composed import phrases_apart, words_from_recordings
from bench.truth.words import GoldWord, Truth
from captions.cli.errors import CommandError


def tones(*spans: tuple[float, float]) -> Clip:
    """A clip that is loud exactly where its words are."""
    truth = Truth(tuple(GoldWord(f"w{n}", start, end) for n, (start, end) in enumerate(spans)), "by hand")
    pcm = np.zeros(round((spans[-1][1] + 0.5) * CLIP_RATE), np.float32)
    for start, end in spans:
        pcm[round(start * CLIP_RATE) : round(end * CLIP_RATE)] = 0.5
    return Clip("tones", pcm, truth)


def loud_where_spoken(clip: Clip) -> bool:
    return all(
        clip.pcm[round(word.start * CLIP_RATE) + 9 : round(word.end * CLIP_RATE) - 9].min() > 0.1
        and not clip.pcm[round(word.end * CLIP_RATE) + 9 : round((word.end + 0.02) * CLIP_RATE)].any()
        for word in clip.truth.words
    )


def test_phrases_apart_keep_their_words_and_gain_their_pauses() -> None:
    clip = phrases_apart(tones((0.5, 0.9), (1.0, 1.4), (1.8, 2.2)), pause_s=1.0)
    assert len(clip.truth.words) == 3
    assert [len(clip.truth.words[s.first : s.last + 1]) for s in clip.truth.spurts(0.9)] == [2, 1]
    assert loud_where_spoken(clip)


def test_recorded_words_lie_exactly_where_they_were_laid(tmp_path: Path) -> None:
    for word, length in (("0", 800), ("7", 1_600), ("yes", 2_400)):
        with wave.open(str(tmp_path / f"{word}_ann_1.wav"), "wb") as file:
            file.setparams((1, 2, 8_000, 0, "NONE", ""))
            file.writeframes(np.full(length, 8_000, "<i2").tobytes())
    clip = words_from_recordings(tmp_path, 12, seed=1)
    assert len(clip.truth.words) == 12
    assert {word.text for word in clip.truth.words} <= {"zero", "seven", "yes"}
    lengths = {"zero": 0.1, "seven": 0.2, "yes": 0.3}
    assert all(w.end - w.start == pytest.approx(lengths[w.text], abs=1e-6) for w in clip.truth.words)


def test_no_recordings_say_so(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no recordings"):
        words_from_recordings(tmp_path, 3, seed=1)


def test_noise_is_as_loud_as_asked() -> None:
    clip = tones((0.5, 1.5))
    noise = with_noise(clip, 10.0, seed=1).pcm - clip.pcm
    assert 20 * np.log10(0.5 / np.sqrt(np.mean(noise**2))) == pytest.approx(10.0, abs=0.1)


def test_everybody_talks_from_another_place_of_the_same_text() -> None:
    voices = all_talking(3, 50.0)
    assert [voice.duration_s for voice in voices] == pytest.approx([50.0] * 3)
    assert len({voice.truth.words[0].text for voice in voices}) > 1
    for voice in voices:
        edges = [edge for word in voice.truth.words for edge in (word.start, word.end)]
        assert edges == sorted(edges)
        assert len(voice.truth.words) > 119


def test_people_in_meetings_mostly_listen() -> None:
    voices = in_meetings(20, 120.0, seed=1)
    assert len(voices) == 20
    spoken = sum(clip.duration_s for voice in voices for _, clip in voice.pieces)
    assert 0.05 < spoken / (20 * 120) < 0.15
    for voice in voices:
        spans = [(start, start + clip.duration_s) for start, clip in voice.pieces]
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_a_voice_is_as_many_packets_as_it_is_long_and_shares_them() -> None:
    piece = tones((0.1, 0.2))
    pool = PacketPool(AudioFormat("pcm_s16le", 16_000))
    one = pool.packets(Voice(((1.0, piece), (3.0, piece)), 5.0))
    two = pool.packets(Voice(((2.0, piece),), 5.0))
    assert len(one) == len(two) == 250
    assert one[50] is one[150] is two[100]
    assert not any(one[49])
    assert any(one[57])


def test_clips_do_not_overlap_when_composed() -> None:
    assert compose("two", [(0.0, tones((0.1, 0.2))), (1.0, tones((0.1, 0.2)))], 2.0).duration_s == 2.0
