"""The reader, beside the package's own library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import moonshine_voice
import numpy as np
import pytest
from moonshine_voice.transcriber import Transcriber
from numpy.typing import NDArray

from captions.models.model import ModelError
from captions.models.moonshine.reader import READER_RATE, MoonshineReader
from captions.models.moonshine.words import HeardWord, spoken
from tests.speech import dickens

SENTENCES = [(1.0, 4.2), (8.3, 10.0), (20.9, 24.2), (29.3, 32.6), (36.9, 42.0)]


@pytest.fixture(scope="module")
def reader() -> MoonshineReader:
    return MoonshineReader()


@pytest.fixture(scope="module")
def library() -> Iterator[Transcriber]:
    folder = Path(moonshine_voice.get_assets_path()) / "tiny-en"
    transcriber = Transcriber(folder, moonshine_voice.ModelArch.TINY, options={"vad_threshold": "0.0"})
    yield transcriber
    transcriber.close()


def speech(start_s: float, end_s: float) -> NDArray[np.float32]:
    return dickens(start_s, end_s, READER_RATE)


def text(reading: Sequence[HeardWord]) -> str:
    return " ".join(word.text for word in reading)


def tokens(reading: Sequence[HeardWord]) -> tuple[int, ...]:
    return tuple(token for word in reading for token in word.tokens)


def test_it_hears_what_the_packages_library_hears_but_for_rounding(
    reader: MoonshineReader, library: Transcriber
) -> None:
    """Both compute in eight bits, by other kernels: where the decoder hesitates they may choose otherwise."""
    ours: list[str] = []
    theirs: list[str] = []
    for sentence in SENTENCES:
        pcm = speech(*sentence)
        ours += text(reader.read(pcm)).split()
        lines = library.transcribe_without_streaming(pcm.tolist(), READER_RATE).lines
        theirs += " ".join(line.text for line in lines).split()
    differing = [pair for pair in zip(ours, theirs, strict=True) if spoken(pair[0]) != spoken(pair[1])]
    assert len(ours) > 40
    assert len(differing) <= 1


def test_a_draft_saves_time_and_changes_no_word(reader: MoonshineReader) -> None:
    pcm = speech(1.0, 4.2)
    alone = reader.read(pcm)
    assert text(reader.read(pcm, draft=tokens(alone))) == text(alone)
    assert text(reader.read(pcm, draft=tokens(alone)[:4])) == text(alone)
    assert text(reader.read(pcm, draft=(*tokens(alone)[:4], 5_000, 5_001))) == text(alone)


def test_a_reading_begins_with_the_committed_words_whatever_they_are(reader: MoonshineReader) -> None:
    pcm = speech(1.0, 4.2)
    first = reader.read(pcm)[:4]
    begun = reader.read(pcm, [token for word in first for token in word.tokens])
    assert begun[:4] != ()
    assert [word.text for word in begun[:4]] == [word.text for word in first]
    assert [spoken(word.text) for word in begun[4:6]] == ["of", "times"]


def test_a_word_knows_its_punctuation_and_how_sure_the_decoder_was_of_it(reader: MoonshineReader) -> None:
    words = reader.read(speech(1.0, 4.2))
    times = words[5]
    assert (spoken(times.text), times.marks) == ("times", 1)
    assert words[3].marks == 0
    assert min(word.margin for word in words) > 0.0


def test_speech_that_breaks_off_within_a_word_leaves_doubt(reader: MoonshineReader) -> None:
    whole, broken = reader.read(speech(1.0, 4.2)), reader.read(speech(1.0, 2.25))
    assert whole[-1].margin > broken[-1].margin


@pytest.mark.parametrize("samples", [0, 1, 1_000])
def test_next_to_nothing_can_be_read(reader: MoonshineReader, samples: int) -> None:
    assert len(reader.read(np.zeros(samples, np.float32))) <= 2


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("captions.models.moonshine.reader.find_spec", lambda _name: None)
    with pytest.raises(ModelError, match="moonshine-voice"):
        MoonshineReader()
