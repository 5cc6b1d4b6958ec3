"""Composes recordings into clips such as a lane of the server hears: strings of digits, pauses, noise, splices.

A clip's audio and its words come from one random generator, so a seed gives the same clip everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.random import Generator

from training.acoustics import NoiseBank, colour_voice
from training.recordings import SAMPLE_RATE, Pcm, Recording

__all__ = ["TRAINING_STYLE", "Clip", "Composer", "SpokenDigit", "Style"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SpokenDigit:
    """A digit and when it is heard, in seconds of the clip."""

    digit: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Clip:
    """Audio of the length asked for, and its words in order."""

    pcm: Pcm
    words: tuple[SpokenDigit, ...]


@dataclass(frozen=True, slots=True)
class Style:
    """What varies between clips. Chances are between 0 and 1, levels in dB, times in seconds.

    `gaps`: (chance, shortest, longest) of the silence between two words. `splice`: that a pause is replaced by
    the digital silence of a flush, after which the noise floor starts abruptly, as on a lane that was frozen.
    """

    gaps: tuple[tuple[float, float, float], ...]
    lead_s: tuple[float, float] = (0.5, 2.0)
    peak_db: tuple[float, float] = (-24.0, -1.0)
    word_level_db: float = 4.0
    snr_db: tuple[float, float] = (12.0, 60.0)
    noiseless: float = 0.15
    splice: float = 0.12
    coloured: float = 0.6
    babble: float = 0.15
    change_speaker: float = 0.03


TRAINING_STYLE = Style(gaps=((0.55, 0.0, 0.3), (0.3, 0.3, 0.9), (0.15, 0.9, 4.0)))

SPLICE_S = (0.3, 1.2)
FADE_SAMPLES = 120


class Composer:
    """Makes clips of one style from a set of recordings."""

    def __init__(self, recordings: Sequence[Recording], style: Style, noise: NoiseBank) -> None:
        self._style = style
        self._noise = noise
        self._by_speaker: dict[str, list[list[Recording]]] = {}
        for recording in recordings:
            digits = self._by_speaker.setdefault(recording.speaker, [[] for _ in range(10)])
            digits[recording.digit].append(recording)
        self._speakers = sorted(self._by_speaker)

    def compose(self, random: Generator, length_s: float, most_words: int | None = None) -> Clip:
        """A clip of `length_s` with as many whole words as fit, at most `most_words`."""
        style = self._style
        voice = np.zeros(round(length_s * SAMPLE_RATE), np.float32)
        words: list[SpokenDigit] = []
        cuts: list[tuple[int, int]] = []
        speaker = _any(random, self._speakers)
        position = round(random.uniform(*style.lead_s) * SAMPLE_RATE)
        if random.random() < 0.5:
            cuts.append((0, max(0, position - round(random.uniform(0.2, 0.6) * SAMPLE_RATE))))
        while most_words is None or len(words) < most_words:
            if random.random() < style.change_speaker:
                speaker = _any(random, self._speakers)
            recording = _any(random, self._by_speaker[speaker][random.integers(10)])
            if position + len(recording.pcm) > len(voice):
                break
            level = 10 ** (random.uniform(-style.word_level_db, style.word_level_db) / 20)
            voice[position : position + len(recording.pcm)] += level * _faded(recording.pcm)
            start, end = position + recording.start, position + recording.end
            words.append(SpokenDigit(recording.digit, start / SAMPLE_RATE, end / SAMPLE_RATE))
            position += len(recording.pcm)
            if random.random() < style.splice:
                begin = position + round(random.uniform(0.0, 0.6) * SAMPLE_RATE)
                position = begin + round(random.uniform(*SPLICE_S) * SAMPLE_RATE)
                cuts.append((begin, position))
                position += round(random.uniform(0.1, 0.6) * SAMPLE_RATE)
            else:
                position += round(self._gap_s(random) * SAMPLE_RATE)
        pcm = self._in_its_room(random, voice)
        for begin, end in cuts:
            pcm[begin:end] = 0.0
        return Clip(pcm, tuple(words))

    def _gap_s(self, random: Generator) -> float:
        chances = [chance for chance, _, _ in self._style.gaps]
        _, shortest, longest = self._style.gaps[random.choice(len(chances), p=chances)]
        return float(random.uniform(shortest, longest))

    def _in_its_room(self, random: Generator, voice: Pcm) -> Pcm:
        """The voice at a random level, coloured by a room and a microphone, over background noise."""
        style = self._style
        if random.random() < style.coloured:
            voice = colour_voice(random, voice)
        peak = float(np.abs(voice).max()) or 1.0
        voice = voice * np.float32(10 ** (random.uniform(*style.peak_db) / 20) / peak)
        if random.random() < style.noiseless:
            return voice
        loud = np.abs(voice) > 0.1 * np.abs(voice).max()
        level = float(np.sqrt(np.mean(voice[loud] ** 2))) if loud.any() else 0.05
        background = self._noise.background(random, len(voice))
        voice += background * np.float32(level * 10 ** (-random.uniform(*style.snr_db) / 20))
        if random.random() < style.babble:
            murmur = self._murmur(random, len(voice))
            voice += murmur * np.float32(level * 10 ** (-random.uniform(15, 35) / 20))
        return np.clip(voice, -1.0, 1.0)

    def _murmur(self, random: Generator, samples: int) -> Pcm:
        """Speech without words: recordings played backwards, of unit loudness."""
        murmur = np.zeros(samples, np.float32)
        position = 0
        while position < samples:
            recording = _any(random, self._by_speaker[_any(random, self._speakers)][random.integers(10)])
            piece = recording.pcm[::-1][: samples - position]
            murmur[position : position + len(piece)] += piece
            position += len(recording.pcm) + round(random.exponential(0.2) * SAMPLE_RATE)
        return np.asarray(murmur / (np.sqrt(np.mean(murmur**2)) + 1e-9), np.float32)


def _any(random: Generator, items: Sequence[T]) -> T:
    return items[int(random.integers(len(items)))]


def _faded(pcm: Pcm) -> Pcm:
    """The recording with 5 ms ramps, so that its cut edges do not click."""
    faded = pcm.copy()
    ramp = np.linspace(0.0, 1.0, FADE_SAMPLES, dtype=np.float32)
    faded[:FADE_SAMPLES] *= ramp
    faded[-FADE_SAMPLES:] *= ramp[::-1]
    return faded
