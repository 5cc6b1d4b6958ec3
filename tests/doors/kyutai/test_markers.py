from __future__ import annotations

import pytest

from captions.doors.kyutai.markers import MOST_MARKERS, Markers, TooManyMarkers

DELAY = 600


@pytest.fixture
def markers() -> Markers:
    markers = Markers(DELAY)
    markers.ask(7, at=1_000)
    return markers


def test_in_silence_the_track_is_flushed_once_the_audio_before_was_heard(markers: Markers) -> None:
    assert markers.heard(999, speaking=False) == []
    assert markers.heard(1_000, speaking=False) == [7]
    assert not markers


def test_while_somebody_speaks_the_audio_before_and_the_delay_are_stepped(markers: Markers) -> None:
    assert markers.heard(1_000, speaking=True) == []
    assert markers.stepped(1_599) == []
    assert markers.stepped(1_600) == [7]
    assert not markers


def test_what_counts_steps_is_not_flushed_when_a_silence_follows(markers: Markers) -> None:
    markers.heard(1_000, speaking=True)
    assert markers.heard(1_100, speaking=False) == []
    assert markers.spurt_over() == [7]


def test_steps_before_the_audio_was_heard_count_for_nothing(markers: Markers) -> None:
    assert markers.stepped(5_000) == []
    assert markers.spurt_over() == []
    assert markers


def test_without_more_audio_it_is_flushed(markers: Markers) -> None:
    markers.heard(1_000, speaking=True)
    markers.ask(8, at=2_000)
    assert markers.audio_stopped() == [7], "what was not heard yet is asked for again when it was"
    assert markers.heard(2_000, speaking=False) == [8]


def test_several_come_back_in_their_order(markers: Markers) -> None:
    markers.ask(5, at=1_000)
    markers.ask(6, at=1_200)
    markers.heard(1_200, speaking=True)
    assert markers.stepped(1_700) == [7, 5]
    assert markers.stepped(1_800) == [6]


def test_more_than_a_hundred_are_an_error(markers: Markers) -> None:
    for number in range(MOST_MARKERS - 1):
        markers.ask(number, at=1_000)
    with pytest.raises(TooManyMarkers, match="100 markers wait already"):
        markers.ask(0, at=1_000)
