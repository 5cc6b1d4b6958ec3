"""Speech put together so that its times are known: from recordings of single words, or from phrases of a clip."""

from __future__ import annotations

import random
from pathlib import Path

from bench.load.clips import CLIP_RATE, Clip, compose, read_pcm
from bench.truth.words import GoldWord, Truth
from captions.cli.audio_file import duration_s
from captions.cli.errors import CommandError

__all__ = ["phrases_apart", "words_from_recordings"]

_LEAD_S = 1.0
_MARGIN_S = 0.03


def phrases_apart(clip: Clip, pause_s: float = 1.2, phrase_pause_s: float = 0.25) -> Clip:
    """The phrases of a clip, as its pauses divide them, laid into digital silence `pause_s` apart.

    Where speech begins and ends is then known to the sample, but for `_MARGIN_S` of room around each phrase; words keep
    their times inside their phrase.
    """
    pieces = []
    at = _LEAD_S
    for spurt in clip.truth.spurts(phrase_pause_s):
        start = clip.truth.words[spurt.first].start - _MARGIN_S
        end = clip.truth.words[spurt.last].end + _MARGIN_S
        pieces.append((at, clip.cut(start, end)))
        at = round(at + (end - start) + pause_s, 3)
    return compose(f"{clip.name}, phrases apart", pieces, at + 0.5)


def words_from_recordings(folder: Path, words: int, seed: int, pause_s: float = 1.2) -> Clip:
    """Recordings of single words, `WORD_SPEAKER_NUMBER.wav` and trimmed, in groups of three to six a breath apart.

    Every time is exact: a word's are its recording's edges. The free spoken digit data set is named so.

    Raises:
        CommandError: no such recordings there.
    """
    recordings = sorted(folder.glob("*_*_*.wav"))
    if not recordings:
        raise CommandError(f"{folder}: no recordings named WORD_SPEAKER_NUMBER.wav")
    chance = random.Random(seed)
    pieces: list[tuple[float, Clip]] = []
    at = _LEAD_S
    while len(pieces) < words:
        for _ in range(min(chance.randint(3, 6), words - len(pieces))):
            piece = _recorded(chance.choice(recordings))
            pieces.append((at, piece))
            at += piece.duration_s + chance.uniform(0.06, 0.15)
        at += pause_s
    return compose(f"{words} recorded words", pieces, at + 0.5)


def _recorded(path: Path) -> Clip:
    length_s = duration_s(path)
    if length_s is None:
        raise CommandError(f"{path}: it does not say how long it is")
    pcm = read_pcm(path)[: round(length_s * CLIP_RATE)]
    said = path.name.partition("_")[0]
    text = _DIGITS[int(said)] if said.isdecimal() and int(said) < 10 else said
    truth = Truth((GoldWord(text, 0.0, length_s),), "composed of trimmed recordings: the times are exact")
    return Clip(said, pcm, truth)


_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
