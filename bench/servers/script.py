"""What the self-check server says and when, and the figures that must come of it, worked out from the script alone.

Every word has its own latencies, its guess that may be wrong, its error or none. `expected` is plain arithmetic on
those; it shares nothing with metrics.py, so that each can catch the other.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.measure.events import Done, Observation, Seen, SeenWord, SpeechTurn, TrackLog
from bench.truth.words import GoldWord, Truth

__all__ = ["Move", "Script", "ScriptedWord", "expected", "moves", "scripted_log", "standard_script"]

PACKET_S = 0.02
_PARTS_SHARE = {"buffer": 0.05, "lane_wait": 0.1, "queue": 0.15, "model_delay": 0.5, "compute": 0.15, "send": 0.05}


@dataclass(frozen=True, slots=True)
class ScriptedWord:
    """A gold word and what becomes of it.

    `said`: its committed text, "" if it is never said, two words if one is made up. `guess`: what is shown first, ""
    for nothing. Both moments count from the arrival of the word's end.
    """

    gold: GoldWord
    said: str
    guess: str
    shown_ms: float
    committed_ms: float

    @property
    def said_right(self) -> bool:
        return self.gold.text in self.said.split()


@dataclass(frozen=True, slots=True)
class Script:
    """Spurts of words. `ttfs_ms`: per spurt, its closing after its last word's end. The times the server gives are off
    by `start_off_s` and `end_off_s`, the speech boundaries by `onset_off_s` and `offset_off_s`, told `turn_ms` later.
    """

    spurts: tuple[tuple[ScriptedWord, ...], ...]
    ttfs_ms: tuple[float, ...]
    start_off_s: float = -0.04
    end_off_s: float = 0.06
    onset_off_s: float = 0.04
    offset_off_s: float = -0.02
    turn_ms: float = 30.0
    done_ms: float = 25.0

    @property
    def words(self) -> list[ScriptedWord]:
        return [word for spurt in self.spurts for word in spurt]

    @property
    def truth(self) -> Truth:
        return Truth(tuple(word.gold for word in self.words), "scripted: the times are exact")

    @property
    def duration_s(self) -> float:
        """The audio needed: half a second more than the last thing the server says of it."""
        last = self.spurts[-1][-1].gold.end + max(self.ttfs_ms[-1], self.spurts[-1][-1].committed_ms) / 1_000
        return round((last + 0.5) / PACKET_S) * PACKET_S


@dataclass(frozen=True, slots=True)
class Move:
    """`delay_ms` after the audio at `position` has arrived, the server says `what` (its `at` is 0)."""

    position: float
    delay_ms: float
    what: Observation

    @property
    def due(self) -> float:
        return self.position + self.delay_ms / 1_000


def standard_script(spurts: int = 5, words_a_spurt: int = 6) -> Script:
    """Latencies that differ from word to word, every third guess wrong; of eighteen words one wrong, one never said,
    one followed by one made up, apart from each other so that no alignment has fewer errors. All positions are whole
    packets.
    """
    made = []
    at = 1.0
    number = 0
    for _ in range(spurts):
        spurt = []
        for _ in range(words_a_spurt):
            gold = GoldWord(_NAMES[number % len(_NAMES)], round(at, 3), round(at + 0.3, 3))
            spurt.append(_scripted(gold, number))
            at += 0.4
            number += 1
        made.append(tuple(spurt))
        at += 1.2
    return Script(tuple(made), tuple(620.0 + 35 * place for place in range(spurts)))


def _scripted(gold: GoldWord, number: int) -> ScriptedWord:
    said = gold.text
    if number % 18 == 4:
        said = "mistaken"
    elif number % 18 == 10:
        said = ""
    elif number % 18 == 15:
        said = f"{gold.text} surplus"
    guess = "" if number % 4 == 3 or not said else "fleeting" if number % 3 == 1 else said.split()[0]
    return ScriptedWord(gold, said, guess, shown_ms=90.0 + 17 * (number % 4), committed_ms=240.0 + 23 * (number % 7))


def moves(script: Script, track: str) -> list[Move]:
    """Everything the server says, in order of time; a message that depends on others says what stands by then."""
    changes: list[tuple[float, float, int, int, str]] = []
    turns: list[Move] = []
    for place, spurt in enumerate(script.spurts):
        first, last = spurt[0].gold, spurt[-1].gold
        for number, word in enumerate(spurt):
            if word.guess:
                changes.append((word.gold.end, word.shown_ms, place, number, "show"))
            changes.append((word.gold.end, word.committed_ms, place, number, "commit"))
        changes.append((last.end, script.ttfs_ms[place], place, len(spurt), "close"))
        for gold_at, off_s, speaking in (
            (first.start, script.onset_off_s, True),
            (last.end, script.offset_off_s, False),
        ):
            said = SpeechTurn(track, 0.0, speaking, round(gold_at + off_s, 3))
            turns.append(Move(gold_at, script.turn_ms, said))
    changes.sort(key=lambda change: change[0] + change[1] / 1_000)
    return sorted([*turns, *_captions(script, track, changes)], key=lambda move: move.due)


def _captions(script: Script, track: str, changes: Sequence[tuple[float, float, int, int, str]]) -> Iterator[Move]:
    committed: list[list[SeenWord]] = [[] for _ in script.spurts]
    shown: list[dict[int, str]] = [{} for _ in script.spurts]
    first = [True for _ in script.spurts]
    for position, delay_ms, place, number, what in changes:
        server_ms: dict[str, float] = {}
        spurt = script.spurts[place]
        if what == "show":
            shown[place][number] = spurt[number].guess
        elif what == "commit":
            shown[place].pop(number, None)
            words = _said_words(spurt[number], script)
            committed[place] += words
            if words:
                server_ms = {name: share * delay_ms for name, share in _PARTS_SHARE.items()}
                server_ms["word_latency"] = delay_ms
            elif not spurt[number].guess:
                continue
        else:
            server_ms["ttfs"] = delay_ms
        if first[place]:
            server_ms["first_partial"] = (position - spurt[0].gold.start) * 1_000 + delay_ms
            first[place] = False
        yield Move(
            position,
            delay_ms,
            Seen(
                track,
                0.0,
                str(place),
                tuple(committed[place]),
                tuple(shown[place][key] for key in sorted(shown[place])),
                what == "close",
                server_ms,
            ),
        )


def _said_words(word: ScriptedWord, script: Script) -> list[SeenWord]:
    start, end = round(word.gold.start + script.start_off_s, 3), round(word.gold.end + script.end_off_s, 3)
    return [SeenWord(text, start, end) for text in word.said.split()]


def scripted_log(script: Script, track: str = "scripted", begin_at: float = 100.0) -> TrackLog:
    """What a client sees that sends every packet in time and hears back at once: the script in virtual time."""
    log = TrackLog(track)
    for number in range(round(script.duration_s / PACKET_S)):
        end = round((number + 1) * PACKET_S, 3)
        log.sent.add(end, begin_at + end)
    for move in moves(script, track):
        log.add(at_moment(move.what, begin_at + move.due))
    log.finished_at = begin_at + log.sent.end
    log.add(Done(track, log.finished_at + script.done_ms / 1_000))
    return log


def at_moment(what: Observation, at: float) -> Observation:
    """The same observation, made at `at`."""
    match what:
        case Seen():
            return Seen(what.track, at, what.unit, what.committed, what.tentative, what.final, what.server_ms)
        case SpeechTurn():
            return SpeechTurn(what.track, at, what.speaking, what.position)
    return what


def expected(script: Script, tracks: int = 1) -> dict[str, float]:
    """The figures that must be measured on so many tracks, by name; see metrics.figures."""
    words = script.words
    right = [word for word in words if word.said_right]
    said = [word for word in words if word.said]
    surplus = sum(len(word.said.split()) - 1 for word in said)
    final = len(said) + surplus
    guesses = [word for word in words if word.guess]
    lost = sum(1 for word in guesses if word.guess != word.said.split()[0])
    latencies = [word.committed_ms for word in right]
    server = [word.committed_ms for word in said for _ in word.said.split()]
    lags = [word.committed_ms - script.end_off_s * 1_000 for word in said for _ in word.said.split()]
    partials = _first_partials(script)
    overheads = [word.committed_ms * (1 - _PARTS_SHARE["model_delay"]) for word in said]
    steady = [word.shown_ms if word.guess == word.gold.text else word.committed_ms for word in right]
    return {
        "word_latency_p50": _percentile([*latencies] * tracks, 50),
        "word_latency_p95": _percentile([*latencies] * tracks, 95),
        "word_latency_reported_p50": _percentile([*lags] * tracks, 50),
        "word_latency_reported_p95": _percentile([*lags] * tracks, 95),
        "word_latency_server_p50": _percentile([*server] * tracks, 50),
        "word_latency_server_p95": _percentile([*server] * tracks, 95),
        "shown_latency_p50": _percentile([*steady] * tracks, 50),
        "shown_latency_p95": _percentile([*steady] * tracks, 95),
        "first_partial_p50": statistics.median(partials),
        "first_partial_p95": _percentile([*partials] * tracks, 95),
        "first_partial_server_p50": statistics.median(partials),
        "ttfs_p50": statistics.median(script.ttfs_ms),
        "ttfs_p95": _percentile([*script.ttfs_ms] * tracks, 95),
        "ttfs_server_p50": statistics.median(script.ttfs_ms),
        "last_words": said[-1].committed_ms,
        "done_after_end": script.done_ms,
        **{
            f"part_{name}": statistics.fmean(w.committed_ms for w in said) * share
            for name, share in _PARTS_SHARE.items()
        },
        "overhead_p50": _percentile(overheads * tracks, 50),
        "overhead_p95": _percentile(overheads * tracks, 95),
        "words": final * tracks,
        "erasure": lost / final,
        "erasure_behind": lost / final,
        "erasure_committed": 0.0,
        "upwr": lost / len(guesses),
        "wer": (len(words) - len(right) + surplus) / len(words),
        "start_error_median": script.start_off_s * 1_000,
        "end_error_median": script.end_off_s * 1_000,
        "onset_error_median": script.onset_off_s * 1_000,
        "offset_error_median": script.offset_off_s * 1_000,
        **{
            f"{name}_abs_{rank}": abs(getattr(script, f"{name.removesuffix('_error')}_off_s")) * 1_000
            for name in ("start_error", "end_error", "onset_error", "offset_error")
            for rank in ("p50", "p95")
        },
        "transport_p50": -script.end_off_s * 1_000,
        "onsets_missed": 0.0,
        "troubles": 0.0,
    }


def _first_partials(script: Script) -> list[float]:
    return [
        min(
            (word.gold.end - spurt[0].gold.start) * 1_000 + (word.shown_ms if word.guess else word.committed_ms)
            for word in spurt
            if word.said
        )
        for spurt in script.spurts
    ]


def _percentile(values: Sequence[float], percent: float) -> float:
    """By linear interpolation between ranks."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


_NAMES = tuple(
    first + last
    for last in ("ber", "lin", "mor", "ret", "tas", "vik")
    for first in ("am", "bir", "ced", "dun", "fel", "gla")
)
