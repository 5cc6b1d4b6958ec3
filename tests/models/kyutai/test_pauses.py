from __future__ import annotations

from collections.abc import Sequence

import pytest

from captions.models.kyutai.pauses import PauseReader

PAUSE = (0.9, 0.9, 0.9, 0.9)
SPEECH = (0.9, 0.9, 0.1, 0.1)


def begun(steps: Sequence[tuple[tuple[float, ...], bool]]) -> list[bool]:
    pauses = PauseReader()
    return [pauses.push(probabilities, word) for probabilities, word in steps]


def test_a_pause_begins_once_head_two_has_held_for_three_frames_after_a_word() -> None:
    steps = [(SPEECH, True), (PAUSE, False), (PAUSE, False), (PAUSE, False), (PAUSE, False), (PAUSE, False)]
    assert begun(steps) == [False, False, False, True, False, False]


def test_no_pause_begins_before_the_first_word() -> None:
    assert not any(begun([(PAUSE, False)] * 20))


def test_a_spike_inside_a_sentence_is_no_pause() -> None:
    assert not any(begun([(SPEECH, True), (PAUSE, False), (PAUSE, False), (SPEECH, False)] * 3))


def test_a_frame_of_speech_starts_the_hold_again() -> None:
    steps = [(SPEECH, True), *[(PAUSE, False)] * 2, (SPEECH, False), *[(PAUSE, False)] * 3]
    assert begun(steps) == [False] * 6 + [True]


def test_a_late_word_starts_the_hold_again() -> None:
    steps = [(SPEECH, True), (PAUSE, False), (PAUSE, False), (PAUSE, True), (PAUSE, False), (PAUSE, False)]
    assert not any(begun(steps))


def test_the_end_of_a_spurt_waits_for_a_new_word() -> None:
    pauses = PauseReader()
    pauses.push(SPEECH, True)
    pauses.end_spurt()
    assert not any(pauses.push(PAUSE, False) for _ in range(5))


@pytest.mark.parametrize(
    ("heads", "begins"),
    [
        ((0.0, 0.0, 0.51, 0.0), True),
        ((1.0, 1.0, 0.5, 1.0), False),
        ((0.1, 0.8), True),
        ((0.8, 0.1), False),
        ((0.8,), True),
    ],
    ids=["head two above the half", "head two at the half", "two heads: the longer", "the shorter", "one head"],
)
def test_head_two_decides_or_the_longest_there_is(heads: tuple[float, ...], begins: bool) -> None:
    assert begun([(heads, True), (heads, False), (heads, False), (heads, False)]) == [False, False, False, begins]
