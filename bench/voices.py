"""Who speaks when, for load: everybody all the while, or meetings as the generator draws them."""

from __future__ import annotations

import numpy as np

from bench.clips import CLIP_RATE, Clip, two_cities
from bench.truth import joined

__all__ = ["STAGGER_S", "VOICES", "all_talking", "voices"]

VOICES = ("talking", "meetings")

STAGGER_S = 0.005
"""Tracks send their packets at four moments of each 20 ms, as the senders of a meeting would not all at once."""


def voices(load: str, tracks: int, seconds: float, seed: int) -> list[tuple[Clip, float]]:
    """The clips of so many tracks, and when each begins."""
    return all_talking(tracks, seconds) if load == "talking" else in_meetings(tracks, seconds, seed)


def all_talking(tracks: int, seconds: float) -> list[tuple[Clip, float]]:
    """So many voices that read on without end, each from another place of the same text, and when they begin."""
    clip = two_cities()
    places = [0.0, *(clip.truth.words[spurt.first].start - 0.1 for spurt in clip.truth.spurts()[1:])]
    turned = [_from(clip, place, seconds) for place in places[:tracks]]
    return [(turned[number % len(turned)], STAGGER_S * (number % 4)) for number in range(tracks)]


def _from(clip: Clip, place: float, seconds: float) -> Clip:
    """The clip read round and round, from `place` on."""
    at = round(place * CLIP_RATE)
    pcm = np.concatenate([clip.pcm[at:], clip.pcm[:at]])
    rest_s = (len(clip.pcm) - at) / CLIP_RATE
    after = clip.truth.within(place, clip.duration_s).shifted(-place)
    before = clip.truth.within(0.0, place).shifted(rest_s)
    once = Clip(clip.name, pcm, joined([after, before]))
    turns = int(np.ceil(seconds / once.duration_s))
    truth = joined([once.truth.shifted(turn * once.duration_s) for turn in range(turns)])
    return Clip(clip.name, np.tile(once.pcm, turns), truth).cut(0.0, seconds)


def in_meetings(tracks: int, seconds: float, seed: int) -> list[tuple[Clip, float]]:
    raise NotImplementedError
