"""Counting what came of people who count."""

from __future__ import annotations

from bench.cluster.placement import RULES, simulate
from bench.cluster.talkers import Counted, Talker


def counted(*segments: str, said: int) -> Counted:
    talker = Talker("ws://nowhere", "t", said=said)
    talker.segments = {str(index): tuple(words.split()) for index, words in enumerate(segments)}
    return talker.counted()


def test_all_that_was_said_came_once() -> None:
    assert counted("w0 w1", "w2 w3 w4", said=5) == Counted(said=5, heard=5)


def test_what_is_missing_in_the_middle_and_at_the_end_is_lost() -> None:
    assert counted("w0 w1", "w4", said=6) == Counted(said=6, heard=3, lost=3)


def test_a_word_that_comes_again_came_twice() -> None:
    assert counted("w0 w1 w2", "w2 w3", said=4) == Counted(said=4, heard=5, twice=1)


def test_they_count_from_the_beginning_after_fifty() -> None:
    words = " ".join(f"w{number % 50}" for number in range(104))
    assert counted(words, said=104) == Counted(said=104, heard=104)


def test_placement_by_what_is_known_is_better_than_by_chance() -> None:
    lost = {rule: simulate(rule, participants=1_200, nodes=8, lanes=22, seconds=1_200).without_lane for rule in RULES}
    assert 0.0 < lost["emptiest known"] < lost["random"] < 1.0
    assert 0.0 < lost["emptier of two"] < lost["random"]
