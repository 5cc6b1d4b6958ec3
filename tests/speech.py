"""Real speech for the tests: moonshine-voice's recording of Dickens, and the same voice made to say numbered words."""

from __future__ import annotations

from functools import cache

import numpy as np

from captions.cli.audio_file import blocks
from captions.cli.demo import clip
from captions.models.scripted import spoken_frame
from captions.types import FRAME_SAMPLES, SAMPLE_RATE, Pcm

__all__ = ["FIRST_WORDS", "SILENCE", "dickens", "pcm16", "plain", "saying", "silence"]

FIRST_SPEECH_S = 1.3
LAST_SPEECH_S = 7.9
FRAMES_PER_WORD = 3
FIRST_WORDS = ["it", "was", "the", "best", "of", "times", "it", "was", "the", "worst", "of", "times"]
"""What the reader says from 1.0 to 4.8 s, as `plain` has it."""

SILENCE: Pcm = np.zeros(FRAME_SAMPLES, np.float32)


@cache
def dickens(start_s: float = 0.0, end_s: float = 45.0, sample_rate: int = SAMPLE_RATE) -> Pcm:
    """two_cities.wav from `start_s` to `end_s`; it is silent until 1.2 s."""
    whole = np.concatenate(list(blocks(clip(), sample_rate // 10, sample_rate)))
    return whole[round(start_s * sample_rate) : round(end_s * sample_rate)]


def saying(*numbers: int) -> list[Pcm]:
    """Frames of a voice that the detector hears as speech and the scripted model as these words, three frames each.

    The scripted model listens to a frame's peak alone, so the reader's voice is turned up or down to that of
    `spoken_frame`.
    """
    voice = dickens(FIRST_SPEECH_S, LAST_SPEECH_S)
    said = [number for number in numbers for _ in range(FRAMES_PER_WORD)]
    assert len(said) * FRAME_SAMPLES <= len(voice), "the reader pauses after these"
    frames = voice[: len(said) * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    peaks = [float(np.abs(spoken_frame(number)).max()) for number in said]
    return [frame * np.float32(peak / np.abs(frame).max()) for frame, peak in zip(frames, peaks, strict=True)]


def pcm16(frame: Pcm) -> bytes:
    """As 16-bit PCM."""
    return (frame * 32_767).astype("<i2").tobytes()


def plain(text: str) -> list[str]:
    """Its words in small letters, without punctuation."""
    return ["".join(letter for letter in word if letter.isalpha()) for word in text.lower().split()]


def silence(frames: int) -> list[Pcm]:
    return [SILENCE] * frames
