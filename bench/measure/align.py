"""Forced alignment of real speech whose text is known: the only module that imports pocketsphinx (extra `bench`).

Two passes over the audio. The first finds which pronunciation of each word was said and where pauses are, by a grammar
that knows nothing but the text; the second aligns the phones of those words to 10 ms frames of the package's own
acoustic model of US English. A word's end is its last phone's end. Resolution is 10 ms; typical error of such models on
read speech is one to three frames, with more where a stop closes before a pause.
"""

from __future__ import annotations

import re
from importlib.metadata import version

import numpy as np
import pocketsphinx  # type: ignore[import-untyped, unused-ignore]
import soxr

from bench.measure.normalise import spoken
from bench.truth.words import GoldWord, Truth
from captions.types import Pcm

__all__ = ["AlignmentError", "force_align"]

_RATE = 16_000
_FRAMES_PER_SECOND = 100
MADE = (
    "forced alignment of the true text with pocketsphinx {version} and its own US English acoustic model; resolution "
    "10 ms, typical error 10 to 30 ms"
)


class AlignmentError(Exception):
    """The text cannot be aligned to the audio; the message says why."""


def force_align(pcm: Pcm, sample_rate: int, text: str) -> Truth:
    """The times of every word of `text`, which must be exactly what `pcm` says.

    Raises:
        AlignmentError: a word the dictionary does not know, or audio that does not fit the text.
    """
    words = [word for word in text.split() if spoken(word)]
    decoder = pocketsphinx.Decoder(lm=None, samprate=_RATE, bestpath=False, loglevel="FATAL")
    unknown = sorted({spoken(word) for word in words if decoder.lookup_word(spoken(word)) is None})
    if unknown:
        raise AlignmentError(f"not in the dictionary: {', '.join(unknown)}")
    pcm16 = (np.clip(soxr.resample(pcm, sample_rate, _RATE), -1.0, 1.0) * 32_767).astype("<i2").tobytes()
    decoder.set_align_text(" ".join(spoken(word) for word in words))
    _run(decoder, pcm16)
    if decoder.hyp() is None:
        raise AlignmentError("the audio does not fit the text")
    decoder.set_alignment()
    _run(decoder, pcm16)
    alignment = decoder.get_alignment()
    aligned = [entry for entry in alignment if not entry.name.startswith("<")] if alignment is not None else []
    if [_headword(entry.name) for entry in aligned] != [spoken(word) for word in words]:
        raise AlignmentError("the audio does not fit the text")
    return Truth(
        tuple(
            GoldWord(word, entry.start / _FRAMES_PER_SECOND, (entry.start + entry.duration) / _FRAMES_PER_SECOND)
            for word, entry in zip(words, aligned, strict=True)
        ),
        MADE.format(version=version("pocketsphinx")),
    )


def _run(decoder: pocketsphinx.Decoder, pcm16: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm16, full_utt=True)
    decoder.end_utt()


def _headword(entry: str) -> str:
    """Without the number of its pronunciation: "was(2)" is "was"."""
    return re.sub(r"\(\d+\)$", "", entry)
