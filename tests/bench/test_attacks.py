"""What is said of an attack: which words came back, how late, and which targets were missed."""

from __future__ import annotations

import numpy as np
import pytest

from bench.attacks.bystanders import heard_between
from bench.attacks.endings import ENDINGS
from bench.attacks.endings import missed as ending_missed
from bench.attacks.siege import missed
from bench.commands.attack import ATTACKS
from bench.load.clips import CLIP_RATE, Clip
from bench.load.raw_socket import frame
from bench.load.voices import Voice, voice_of
from bench.measure.events import Seen, SeenWord, TrackLog, Trouble
from bench.measure.intervals import exact
from bench.report.results import Run
from bench.truth.words import GoldWord, Truth

HELD = {
    **{f"{what}_{phase}": 0.0 for what in ("gaps", "lost") for phase in ("before", "during", "after")},
    "latency_p95_before": 500.0,
    "latency_p95_during": 600.0,
    "attacker_cpu": 0.1,
    "newcomer_served": 1.0,
    "memory_before": 100.0,
    "memory_during": 200.0,
    "memory_after": 120.0,
    "memory_back": 1.0,
    "troubles": 0.0,
}


def run_of(**other: float) -> Run:
    return Run("one", {name: exact(value, "") for name, value in (HELD | other).items()})


def voice(*ends: float) -> Voice:
    words = tuple(GoldWord("word", end - 0.2, end) for end in ends)
    return voice_of(Clip("clip", np.zeros(CLIP_RATE * 10, np.float32), Truth(words, "a test")))


def log_of(words: list[tuple[float, float]], troubles: list[Trouble] | None = None) -> TrackLog:
    """A track sent in time from moment 100 on; each word is (its end, when it came)."""
    log = TrackLog("t")
    for packet in range(500):
        log.sent.add((packet + 1) * 0.02, 100.0 + packet * 0.02)
    for number, (end, at) in enumerate(words):
        log.add(Seen("t", at, f"unit{number}", (SeenWord(f"w{number}", end - 0.3, end),), (), final=True))
    log.troubles = troubles or []
    return log


def test_words_are_counted_by_when_they_were_spoken() -> None:
    log = log_of([(1.0, 101.5), (6.0, 107.0)], [Trouble("t", 105.5, "gap: overload", 0.5)])
    said = voice(1.0, 3.0, 6.0)
    before, during = (heard_between([log], [said], begin, begin + 5.0) for begin in (100.0, 105.0))
    assert (before.spoken, before.heard) == ({("t", 0), ("t", 1)}, {("t", 0)})
    assert (during.spoken, during.heard) == ({("t", 2)}, {("t", 2)})
    assert before.latency_ms == pytest.approx([520.0])
    assert during.latency_ms == pytest.approx([1_020.0])
    assert (before.lost_s, during.lost_s) == (0.0, 0.5)


def test_what_held_missed_nothing() -> None:
    assert missed(run_of()) == []


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"gaps_during": 0.08}, "gaps"),
        ({"lost_after": 1.0}, "words lost"),
        ({"latency_p95_during": 660.0}, "latency × 1.32"),
        ({"latency_p95_during": 1_050.0, "attacker_cpu": 0.9}, "latency × 2.10"),
        ({"memory_during": 251.0}, "memory"),
        ({"memory_back": 60.0}, "memory not back"),
        ({"newcomer_served": -1.0}, "newcomer not served"),
        ({"troubles": 1.0}, "troubles"),
    ],
)
def test_each_target_can_be_missed(other: dict[str, float], what: str) -> None:
    assert missed(run_of(**other)) == [what]


def test_an_attacker_who_uses_the_processor_may_cost_more() -> None:
    assert missed(run_of(latency_p95_during=900.0, attacker_cpu=0.9)) == []


def test_every_attack_has_a_name_and_says_what_it_does() -> None:
    assert all(name == attack.name and attack.what for name, attack in ATTACKS.items())
    assert len(ATTACKS) > 30


@pytest.mark.parametrize(("length", "head"), [(5, b"\x82\x85"), (200, b"\x82\xfe\x00\xc8"), (70_000, b"\x82\xff")])
def test_frames_by_hand_have_the_length_they_say(length: int, head: bytes) -> None:
    made = frame(bytes(length))
    assert made.startswith(head)
    assert len(made) == length + 6 + {5: 0, 200: 2, 70_000: 8}[length]


def ending_of(**other: float) -> Run:
    held = {"not_ready_after": 0.3, "told": 1.0, "ended_after": 1.0, "status": 1.0, "captions_again": 4.0}
    return Run("one", {name: exact(value, "") for name, value in (held | {"never_final": 0.0} | other).items()})


@pytest.mark.parametrize(
    ("name", "other", "misses"),
    [
        ("step-raises", {}, []),
        ("step-raises", {"not_ready_after": 2.1}, ["not ready too late"]),
        ("step-hangs", {"not_ready_after": 10.1, "captions_again": 14.0}, []),
        ("step-raises", {"told": 0.0}, ["clients not told"]),
        ("sigkill", {"told": 0.0, "status": -9.0}, []),
        ("step-raises", {"ended_after": -1.0}, ["the process did not end"]),
        ("step-raises", {"status": 0.0}, ["its status"]),
        ("sigterm", {"status": 0.0}, []),
        ("sigterm", {"status": 0.0, "never_final": 1.0}, ["words not final"]),
        ("step-raises", {"captions_again": -1.0}, ["no captions again"]),
        ("warm-up-raises", {"captions_again": -1.0, "told": 0.0}, []),
    ],
)
def test_each_target_of_an_end_can_be_missed(name: str, other: dict[str, float], misses: list[str]) -> None:
    assert ending_missed(ENDINGS[name], ending_of(**other)) == misses
