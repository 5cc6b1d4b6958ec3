"""Who speaks when in made-up meetings, drawn from published statistics of conversation; the same for the same seed.

A spurt is what the speech gate sees: a stretch of one person's speech in which no pause reaches the gate's hangover.
All times are seconds from the meeting's start. The figures, and where they come from:

- **Between speakers** 40% of intervals are overlaps (Heldner and Edlund 2010, Pauses, gaps and overlaps in
  conversations, J. Phonetics 38); backchannels change speakers too, so fewer turns than that are made to overlap
  here. Gaps are most often about 200 ms long, in ten languages (Stivers et al. 2009, Universals and cultural
  variation in turn-taking, PNAS 106). Overlaps at a change of speaker have a median of 0.2 s and a mean of 0.28 s;
  stretches of speech a median of 1.2 s and a mean of 1.7 s (Levinson and Torreira 2015, Timing in turn-taking,
  Frontiers in Psychology 6, on Switchboard). All are skewed as a log-normal is, whose two parameters follow from
  mean and median.
- **Pauses within a turn** have three modes: brief (under 200 ms), medium (to 1 s) and, in spontaneous speech alone,
  long (Campione and Véronis 2002, A large-scale multilingual study of silent pause duration, Speech Prosody).
- **Backchannels** ("mm-hm": Yngve 1970, On getting a word in edgewise; Ward and Tsukahara 2000, Prosodic features
  which cue back-channel responses, J. Pragmatics 32) are 19% of the utterances of Switchboard (Jurafsky et al. 1997,
  Switchboard SWBD-DAMSL coder's manual). They fall where a phrase ends.
- **Overlap** is common in meetings, as much as on the telephone (Shriberg, Stolcke and Baron 2001, Observations on
  overlap, Eurospeech; Çetin and Shriberg 2006, Overlap in meetings, MLMI). Here it comes of the above and of attempts
  at the floor within a turn: about 9% of the time in which anybody speaks.
- **People talk unequally**: their shares fall off exponentially with rank (Stephan and Mishler 1952, The distribution
  of participation in small groups, American Sociological Review 17), and the last speaker but one is the likeliest
  next (Parker 1988, Speaking turns in small group interaction, J. Personality and Social Psychology 54).

Assumed, for want of a source: phrases a turn, attempts at the floor, lapses, the weights of the three pauses, how
fast shares fall off, and that most people mute themselves when they have been silent for a while.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

__all__ = ["Attendee", "Interval", "Meeting", "Statistics", "meetings", "statistics"]

BACKCHANNELS_PER_UTTERANCE = 0.19
GATE_HANGOVER_S = 0.4

_PHRASES_A_TURN = 3.0
_OVERLAPS_A_TURN = 0.25
_ATTEMPTS_A_PHRASE = 0.07
_LAPSES = 0.06
_LAPSE_MEAN_S = 3.0
_PARTICIPATION_RATIO = 0.75
_RETURNS = 0.5
_MUTERS = 0.6
_MUTES_AFTER_S = 8.0
_MUTE_REACTION_S = 1.5
_UNMUTE_LEAD_S = 0.7
_SHORTEST_S = 0.15


@dataclass(frozen=True, slots=True)
class _LogNormal:
    """Of its median and the standard deviation of its logarithm."""

    median_s: float
    sigma: float

    @classmethod
    def of_mean(cls, median_s: float, mean_s: float) -> _LogNormal:
        return cls(median_s, math.sqrt(2 * math.log(mean_s / median_s)))

    @classmethod
    def of_mode(cls, mode_s: float, sigma: float) -> _LogNormal:
        return cls(mode_s * math.exp(sigma**2), sigma)

    def draw_s(self, chance: random.Random) -> float:
        return chance.lognormvariate(math.log(self.median_s), self.sigma)


_GAP = _LogNormal.of_mode(0.2, 0.7)
_OVERLAP = _LogNormal.of_mean(0.205, 0.275)
_PHRASE = _LogNormal.of_mean(1.227, 1.680)
_BACKCHANNEL = _LogNormal(0.4, 0.35)
_PAUSES = ((0.15, _LogNormal(0.12, 0.3)), (0.70, _LogNormal(0.5, 0.4)), (0.15, _LogNormal(1.4, 0.3)))


@dataclass(frozen=True, slots=True)
class Interval:
    """From `start_s` up to `end_s`, both seconds from the meeting's start."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Attendee:
    """One person: `spurts` and `mutes` are in order of time, and none of either overlaps or touches another."""

    id: str
    spurts: tuple[Interval, ...]
    mutes: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Meeting:
    """One room from 0 to `duration_s`, talk under way from the start."""

    room: str
    duration_s: float
    attendees: tuple[Attendee, ...]


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the published figures speak of, measured over meetings.

    `speakers`: share of time with 0, 1, 2 and 3 or more speakers. `overlapped`: of the time anybody speaks, how much
    two or more do. `changes_overlapped`: of the changes from one sole speaker to another, how many overlap;
    `median_gap_s` is of those that do not. `spurt_s`: mean length of a spurt. `busiest`: the share of a meeting's
    speech that its busiest speaker has, on average. `muted`: share of all attendees' time that is muted.
    """

    speakers: tuple[float, float, float, float]
    overlapped: float
    changes_overlapped: float
    median_gap_s: float
    spurt_s: float
    spurts_a_minute: float
    busiest: float
    muted: float


def meetings(rooms: int, people: int, duration_s: float, seed: int) -> list[Meeting]:
    """`rooms` independent meetings of `people` each; more rooms of the same seed begin with the same ones."""
    return [_Room(people, duration_s, random.Random(f"{seed}/{n}")).meeting(f"room{n}") for n in range(rooms)]


def statistics(held: Sequence[Meeting]) -> Statistics:
    """Measure meetings of at least one spurt each."""
    time_s = [0.0, 0.0, 0.0, 0.0]
    gaps, overlaps = [], 0
    for meeting in held:
        for stretch, speakers in _floor(meeting):
            time_s[min(3, len(speakers))] += stretch.length_s
        for offset_s in _changes(meeting):
            if offset_s > 0:
                gaps.append(offset_s)
            else:
                overlaps += 1
    total_s = sum(time_s)
    people = [attendee for meeting in held for attendee in meeting.attendees]
    lengths = [spurt.length_s for one in people for spurt in one.spurts]
    spoken_s = [[sum(spurt.length_s for spurt in one.spurts) for one in meeting.attendees] for meeting in held]
    muted_s = sum(mute.length_s for one in people for mute in one.mutes)
    return Statistics(
        speakers=(time_s[0] / total_s, time_s[1] / total_s, time_s[2] / total_s, time_s[3] / total_s),
        overlapped=sum(time_s[2:]) / sum(time_s[1:]),
        changes_overlapped=overlaps / max(1, overlaps + len(gaps)),
        median_gap_s=median(gaps) if gaps else 0.0,
        spurt_s=fmean(lengths),
        spurts_a_minute=len(lengths) / sum(meeting.duration_s * len(meeting.attendees) for meeting in held) * 60,
        busiest=fmean(max(one) / sum(one) for one in spoken_s),
        muted=muted_s / sum(meeting.duration_s * len(meeting.attendees) for meeting in held),
    )


class _Room:
    """The floor passes from speaker to speaker, turn by turn; others backchannel or try for it meanwhile."""

    def __init__(self, people: int, duration_s: float, chance: random.Random) -> None:
        self._chance = chance
        self._duration_s = duration_s
        self._speech: list[list[Interval]] = [[] for _ in range(people)]
        self._weights = [_PARTICIPATION_RATIO**rank for rank in range(people)]
        chance.shuffle(self._weights)
        self._mutes = [chance.random() < _MUTERS for _ in range(people)]
        self._quiet_since = [0.0] * people

    def meeting(self, room: str) -> Meeting:
        self._talk()
        attendees = []
        for number, speech in enumerate(self._speech):
            spurts = _as_gated(speech, self._duration_s)
            mutes = _mutes(spurts, self._duration_s) if self._mutes[number] else ()
            attendees.append(Attendee(f"{room}-p{number}", spurts, mutes))
        return Meeting(room, self._duration_s, tuple(attendees))

    def _talk(self) -> None:
        last, speaker = None, self._one_of(range(len(self._speech)))
        now = -self._chance.uniform(0, 5)
        while now < self._duration_s:
            end = self._turn(speaker, now)
            following = self._next(speaker, last)
            last, speaker = speaker, following
            now = max(now + _SHORTEST_S, end + self._offset_s())

    def _turn(self, speaker: int, now: float) -> float:
        """Phrase after phrase from `now`; returns when the turn ends."""
        while True:
            end = now + _PHRASE.draw_s(self._chance)
            self._say(speaker, now, end)
            utterances = 1 / (1 - BACKCHANNELS_PER_UTTERANCE)
            if self._chance.random() < utterances - 1:
                start = end + self._chance.uniform(-0.4, 0.2)
                self._aside(speaker, start, start + _BACKCHANNEL.draw_s(self._chance))
            if self._chance.random() < _ATTEMPTS_A_PHRASE:
                start = self._chance.uniform(now, end)
                self._aside(speaker, start, start + _PHRASE.draw_s(self._chance))
            if self._chance.random() < 1 / _PHRASES_A_TURN:
                return end
            now = end + self._pause_s()

    def _say(self, person: int, start: float, end: float) -> None:
        self._speech[person].append(Interval(start, end))
        self._quiet_since[person] = max(self._quiet_since[person], end)

    def _aside(self, speaker: int, start: float, end: float) -> None:
        """Somebody who is not muted says something without having the floor."""
        listeners = [
            person
            for person in range(len(self._speech))
            if person != speaker
            and (not self._mutes[person] or start - self._quiet_since[person] < _MUTES_AFTER_S)
            and start > self._quiet_since[person]
        ]
        if listeners:
            self._say(self._one_of(listeners), start, end)

    def _next(self, speaker: int, last: int | None) -> int:
        if last is not None and self._chance.random() < _RETURNS:
            return last
        others = [person for person in range(len(self._speech)) if person != speaker]
        return self._one_of(others) if others else speaker

    def _offset_s(self) -> float:
        """From the end of a turn to the start of the next; negative where they overlap."""
        if self._chance.random() < _OVERLAPS_A_TURN:
            return -_OVERLAP.draw_s(self._chance)
        if self._chance.random() < _LAPSES:
            return self._chance.expovariate(1 / _LAPSE_MEAN_S)
        return _GAP.draw_s(self._chance)

    def _pause_s(self) -> float:
        (kind,) = self._chance.choices([pause for _, pause in _PAUSES], [weight for weight, _ in _PAUSES])
        return kind.draw_s(self._chance)

    def _one_of(self, people: Sequence[int]) -> int:
        return self._chance.choices(people, [self._weights[person] for person in people])[0]


def _as_gated(speech: list[Interval], duration_s: float) -> tuple[Interval, ...]:
    """One person's speech as the gate sees it: pauses shorter than its hangover are not seen at all."""
    gated: list[Interval] = []
    for stretch in sorted(speech, key=lambda stretch: stretch.start_s):
        start, end = max(0.0, stretch.start_s), min(duration_s, stretch.end_s)
        if gated and start - gated[-1].end_s < GATE_HANGOVER_S:
            gated[-1] = Interval(gated[-1].start_s, max(gated[-1].end_s, end))
        elif end - start >= _SHORTEST_S:
            gated.append(Interval(start, end))
    return tuple(gated)


def _mutes(spurts: Sequence[Interval], duration_s: float) -> tuple[Interval, ...]:
    """The long silences of somebody who mutes, from a moment after one spurt to a moment before the next."""
    ends = [-_MUTES_AFTER_S, *(spurt.end_s for spurt in spurts)]
    starts = [*(spurt.start_s for spurt in spurts), duration_s + _UNMUTE_LEAD_S]
    return tuple(
        Interval(max(0.0, end + _MUTE_REACTION_S), start - _UNMUTE_LEAD_S)
        for end, start in zip(ends, starts, strict=True)
        if start - end >= _MUTES_AFTER_S and start > _UNMUTE_LEAD_S + max(0.0, end + _MUTE_REACTION_S)
    )


def _floor(meeting: Meeting) -> Iterator[tuple[Interval, frozenset[int]]]:
    """The meeting cut wherever anybody starts or stops, with who speaks in each stretch."""
    edges = [
        (at, starts, number)
        for number, one in enumerate(meeting.attendees)
        for spurt in one.spurts
        for at, starts in ((spurt.start_s, True), (spurt.end_s, False))
    ]
    speaking: set[int] = set()
    before = 0.0
    for at, starts, number in sorted(edges):
        if at > before:
            yield Interval(before, at), frozenset(speaking)
            before = at
        (speaking.add if starts else speaking.discard)(number)
    if meeting.duration_s > before:
        yield Interval(before, meeting.duration_s), frozenset(speaking)


def _changes(meeting: Meeting) -> Iterator[float]:
    """For each change from one sole speaker to another, the silence between them, or minus the overlap (seconds)."""
    stretches = list(_floor(meeting))
    sole = [n for n, (_, speakers) in enumerate(stretches) if len(speakers) == 1]
    for one, other in pairwise(sole):
        between = stretches[one + 1 : other]
        if stretches[one][1] == stretches[other][1]:
            continue
        between_s = sum(stretch.length_s for stretch, _ in between)
        yield -between_s if any(speakers for _, speakers in between) else between_s
