"""A clip through a whole server in virtual time, and what the CPU default makes of the edges of speech."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from bench.load.clips import CLIP_RATE, Clip, two_cities
from bench.virtual.clip import hear
from captions.models.moonshine.model import MoonshineModel
from captions.models.moonshine.words import spoken
from captions.types import Pcm


@pytest.fixture(scope="module")
def model() -> Iterator[MoonshineModel]:
    model = MoonshineModel(lanes=1)
    model.warm_up()
    yield model
    model.close()


def words(model: MoonshineModel, clip: Clip) -> list[str]:
    return [spoken(word) for word in hear(clip, model).text.split()]


def without_pauses(clip: Clip, margin_s: float = 0.02) -> Clip:
    """The clip's words with nothing between them but `margin_s` on either side."""
    pieces: list[Pcm] = []
    for word in clip.truth.words:
        start, end = (round(at * CLIP_RATE) for at in (word.start - margin_s, word.end + margin_s))
        pieces.append(clip.pcm[start:end])
    return Clip("without pauses", np.concatenate(pieces), clip.truth)


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * CLIP_RATE), np.float32)


def test_what_a_clip_comes_to_is_measured_as_a_client_sees_it(model: MoonshineModel) -> None:
    heard = hear(two_cities().cut(0.5, 5.0), model)
    assert 0 < heard.model_s < heard.audio_s == pytest.approx(4.5)
    assert heard.samples.errors
    assert all(0 < latency < 5_000 for latency in heard.samples.word_latency)
    assert heard.log.done_at is not None


def test_a_clip_may_end_on_the_last_sample_of_a_word(model: MoonshineModel) -> None:
    assert words(model, two_cities().cut(1.0, 2.86)) == ["it", "was", "the", "best", "of", "times"]


def test_speech_may_begin_with_the_first_sample(model: MoonshineModel) -> None:
    clip = two_cities()
    begun = Clip("begun", np.concatenate([clip.cut(1.17, 2.9).pcm, silence(1.0)]), clip.truth.within(1.17, 2.9))
    assert words(model, begun) == ["it", "was", "the", "best", "of", "times"]


@pytest.mark.parametrize("place", [5, 17, 118])
def test_a_spurt_may_be_a_single_word(model: MoonshineModel, place: int) -> None:
    clip = two_cities()
    word = clip.truth.words[place]
    alone = clip.cut(word.start - 0.03, word.end + 0.03).pcm
    spurt = Clip(word.text, np.concatenate([silence(1.0), alone, silence(1.0)]), clip.truth)
    assert words(model, spurt) == [spoken(word.text)]


def test_a_dozen_seconds_without_a_pause_lose_no_word_and_say_none_twice(model: MoonshineModel) -> None:
    """The utterance is shortened on the way, between words."""
    clip = without_pauses(two_cities().cut(0.0, 20.6))
    heard = hear(clip, model)
    assert len(clip.pcm) / CLIP_RATE > 12
    assert sum(wrong for wrong, _ in heard.samples.errors) <= 4
    assert abs(len(heard.text.split()) - len(clip.truth.words)) <= 2
