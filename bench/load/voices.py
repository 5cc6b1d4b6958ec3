"""Who speaks when on which track: one clip, everybody all the while, or meetings."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.load.clips import CLIP_RATE, PACKET_S, AudioFormat, Clip, packets_of, two_cities
from bench.load.meetings import Attendee, meetings
from bench.truth.words import Truth, joined

__all__ = ["LOADS", "STAGGER_S", "PacketPool", "Voice", "all_talking", "in_meetings", "voice_of", "voices"]

LOADS = ("talking", "meetings", "silent")
STAGGER_S = 0.005
"""Tracks send their packets at four moments of each 20 ms, as the senders of a meeting would not all at once."""

ROOM_PEOPLE = 10
_SILENT = 127


@dataclass(frozen=True, slots=True)
class Voice:
    """One track: clips at their moments, a whole number of packets from its beginning, and silence between them.

    It begins `starts_s` after the load does.
    """

    pieces: tuple[tuple[float, Clip], ...]
    duration_s: float
    starts_s: float = 0.0

    @property
    def truth(self) -> Truth:
        if not self.pieces:
            return Truth((), "nothing is said")
        return joined([clip.truth.shifted(start) for start, clip in self.pieces])


class PacketPool:
    """Packets of voices in one format; a clip that several speak is encoded once, and its packets are shared."""

    def __init__(self, audio: AudioFormat) -> None:
        self._audio = audio
        self._encoded: dict[int, list[bytes]] = {}
        self._silence: list[bytes] = []
        self._levels: dict[int, list[int]] = {}

    def packets(self, voice: Voice) -> tuple[bytes, ...]:
        """All packets of a voice, in order."""
        packets: list[bytes] = []
        for start, clip in voice.pieces:
            packets += self._quiet(round(start / self._audio.packet_s) - len(packets))
            if id(clip) not in self._encoded:
                self._encoded[id(clip)] = packets_of(clip.pcm, self._audio)
            packets += self._encoded[id(clip)]
        packets += self._quiet(round(voice.duration_s / self._audio.packet_s) - len(packets))
        return tuple(packets)

    def levels(self, voice: Voice) -> tuple[int, ...]:
        """How loud each packet of a voice is, in -dBov, 127 what is silent: what an SFU says of it (RFC 6464)."""
        size = round(CLIP_RATE * self._audio.packet_s)
        levels = [_SILENT] * round(voice.duration_s / self._audio.packet_s)
        for start, clip in voice.pieces:
            if id(clip) not in self._levels:
                blocks = clip.pcm[: len(clip.pcm) // size * size].reshape(-1, size)
                dbov = -20 * np.log10(np.maximum(np.sqrt((blocks**2).mean(axis=1)), 1e-7))
                self._levels[id(clip)] = np.clip(np.round(dbov), 0, _SILENT).astype(int).tolist()
            at = round(start / self._audio.packet_s)
            of_clip = self._levels[id(clip)][: len(levels) - at]
            levels[at : at + len(of_clip)] = of_clip
        return tuple(levels)

    def _quiet(self, count: int) -> Iterator[bytes]:
        if not self._silence:
            self._silence = packets_of(np.zeros(CLIP_RATE, np.float32), self._audio)
        return (self._silence[place % len(self._silence)] for place in range(max(0, count)))


def voice_of(clip: Clip, starts_s: float = 0.0) -> Voice:
    """A track that is one clip."""
    return Voice(((0.0, clip),), clip.duration_s, starts_s)


def voices(load: str, tracks: int, seconds: float, seed: int, clip: Clip | None = None) -> list[Voice]:
    """So many tracks of so many seconds, of what a clip says, two_cities unless given; "silent" ones say nothing."""
    if load == "silent":
        return [Voice((), seconds, STAGGER_S * (number % 4)) for number in range(tracks)]
    return all_talking(tracks, seconds, clip) if load == "talking" else in_meetings(tracks, seconds, seed, clip)


def all_talking(tracks: int, seconds: float, clip: Clip | None = None) -> list[Voice]:
    """So many voices that read on without end, each from another place of the same text."""
    clip = clip or two_cities()
    places = [0.0, *(clip.truth.words[spurt.first].start - 0.1 for spurt in clip.truth.spurts()[1:])]
    turned = [_from(clip, place, seconds) for place in places[:tracks]]
    return [voice_of(turned[number % len(turned)], STAGGER_S * (number % 4)) for number in range(tracks)]


def in_meetings(tracks: int, seconds: float, seed: int, clip: Clip | None = None) -> list[Voice]:
    """Everybody's voice in meetings of ten, as meetings.py draws them; a spurt is filled with words read aloud.

    A spurt shorter than any word stays silent.
    """
    chance = random.Random(seed)
    cuts = _Cuts(clip or two_cities())
    held = meetings(-(-tracks // ROOM_PEOPLE), ROOM_PEOPLE, seconds, seed)
    people = [attendee for meeting in held for attendee in meeting.attendees][:tracks]
    return [
        Voice(tuple(_spoken(person, cuts, chance)), seconds, STAGGER_S * (number % 4))
        for number, person in enumerate(people)
    ]


def _spoken(person: Attendee, cuts: _Cuts, chance: random.Random) -> Iterator[tuple[float, Clip]]:
    free_at = 0.0
    for spurt in person.spurts:
        start = math.ceil(max(spurt.start_s, free_at) / PACKET_S) * PACKET_S
        clip = cuts.about(spurt.end_s - start, chance)
        if clip is not None:
            yield round(start, 3), clip
            free_at = start + clip.duration_s + PACKET_S


class _Cuts:
    """Stretches of a clip from the start of one word to the end of another, by length; each is cut once."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        words = clip.truth.words
        spans = [
            (last.end - first.start, first.start, last.end)
            for place, first in enumerate(words)
            for last in words[place : place + 40]
        ]
        self._spans = sorted(spans)
        self._cut: dict[tuple[float, float], Clip] = {}

    def about(self, length_s: float, chance: random.Random) -> Clip | None:
        """One of the ten longest that are not longer than this; None where even the shortest is."""
        fitting = bisect_right(self._spans, (length_s, math.inf, math.inf))
        if not fitting:
            return None
        _, start, end = self._spans[chance.randrange(max(0, fitting - 10), fitting)]
        if (start, end) not in self._cut:
            self._cut[start, end] = self._clip.cut(start, end)
        return self._cut[start, end]


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
