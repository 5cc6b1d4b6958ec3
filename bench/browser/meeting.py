"""A made-up meeting: what a room's watchers are sent while people talk, by the second, the same for the same seed."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass

from captions.doors.native.messages import CaptionWord, Latency, Participant, Segment

__all__ = ["Said", "meeting"]

WORDS_PER_S = 2.6
SEGMENT_CHARS = 74
WRONG_GUESSES = 0.2
NAMES = ("Alice Martin", "Bruno Petit", "Chloé Nguyen", "David Okafor", "Élise Roux", "Farid Haddad")
VOCABULARY = [
    "the",
    "budget",
    "for",
    "next",
    "year",
    "was",
    "voted",
    "on",
    "Thursday",
    "and",
    "nobody",
    "asked",
    "why",
    "la",
    "réunion",
    "commence",
    "à",
    "neuf",
    "heures",
    "avec",
    "l'équipe",
    "du",
    "ministère",
    "so",
    "we",
    "should",
    "plan",
    "interoperability",
    "tests",
    "before",
    "the",
    "end",
    "of",
    "the",
    "month",
    "il",
    "faut",
    "répondre",
    "aux",
    "agents",
    "avant",
    "vendredi",
    "please",
    "keep",
    "an",
    "eye",
    "on",
    "accessibility",
    "a",
    "I",
    "to",
    "be",
    "or",
    "not",
]


@dataclass(frozen=True, slots=True)
class Said:
    """A revision that the server sends `at_s` into the meeting."""

    at_s: float
    segment: Segment


def meeting(room: str, duration_s: float, people: int, *, together: bool, seed: int = 5) -> Iterator[Said]:
    """Everything that is said, in order of time: all at once and without end if `together`, else mostly in turn."""
    talkers = [_talk(room, number, people, duration_s, together, seed) for number in range(people)]
    return heapq.merge(*talkers, key=lambda said: said.at_s)


def _talk(room: str, number: int, people: int, duration_s: float, together: bool, seed: int) -> Iterator[Said]:
    chance = random.Random(seed * 1_000 + number)
    participant = Participant(f"p{number}", NAMES[number % len(NAMES)])
    now, count = 0.1 + number * (0.05 if together else 7.0), 0
    while now < duration_s:
        for _ in range(chance.randint(2, 6)):
            words = _sentence(chance)
            segment_id = f"{round(now * 1_000):012x}-{count * people + number:08x}"
            count += 1
            for said in _utter(room, participant, segment_id, words, now, chance):
                now = said.at_s
                if now < duration_s:
                    yield said
            now += 0.15
        now += chance.uniform(0.3, 1.5) if together else chance.uniform(4.0, 9.0) * (people - 1)


def _sentence(chance: random.Random) -> list[str]:
    words: list[str] = []
    for _ in range(chance.randint(1, 14)):
        word = chance.choice(VOCABULARY)
        if sum(len(w) + 1 for w in words) + len(word) + 1 > SEGMENT_CHARS:
            break
        words.append(word)
    words[0] = words[0].capitalize()
    words[-1] += chance.choice((".", "?", "!", ","))
    return words


def _utter(
    room: str, participant: Participant, segment_id: str, words: list[str], start: float, chance: random.Random
) -> Iterator[Said]:
    """Each word is first guessed, at times wrongly, then committed; the last revision is final."""
    spoken = [
        CaptionWord(word, round(start + i / WORDS_PER_S, 3), round(start + (i + 1) / WORDS_PER_S, 3))
        for i, word in enumerate(words)
    ]
    revision = 0

    def revise(at_s: float, committed: int, tentative: str = "", final: bool = False) -> Said:
        nonlocal revision
        revision += 1
        said = spoken[:committed]
        text = " ".join(word.text for word in said)
        total = round(chance.uniform(300, 900), 1)
        latency = (
            Latency(word_latency=total, buffer=40.0, model_delay=total - 60.0, compute=20.0) if said else Latency()
        )
        end = spoken[max(0, committed - 1)].end
        segment = Segment(
            room, participant.id, participant, segment_id, revision, final, start, end, text, said, latency, tentative
        )
        return Said(at_s, segment)

    for number, word in enumerate(words):
        guess = "eh" if chance.random() < WRONG_GUESSES else word
        yield revise(start + (number + 0.6) / WORDS_PER_S, number, guess)
        yield revise(start + (number + 1) / WORDS_PER_S, number + 1)
    yield revise(start + len(words) / WORDS_PER_S + 0.1, len(words), final=True)
