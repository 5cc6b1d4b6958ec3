"""Made-up meetings keep to the figures they are made of."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bench.load.meetings import Attendee, Interval, Meeting, Statistics, meetings, statistics


@pytest.fixture(scope="module")
def of_ten() -> list[Meeting]:
    return meetings(rooms=20, people=10, duration_s=600.0, seed=3)


@pytest.fixture(scope="module")
def figures(of_ten: list[Meeting]) -> Statistics:
    return statistics(of_ten)


def test_the_same_seed_gives_the_same_meetings_and_more_rooms_the_same_first_ones() -> None:
    assert meetings(3, 4, 60.0, seed=1) == meetings(5, 4, 60.0, seed=1)[:3]
    assert meetings(1, 4, 60.0, seed=1) != meetings(1, 4, 60.0, seed=2)


def test_everybody_has_an_id_of_their_own(of_ten: list[Meeting]) -> None:
    ids = [attendee.id for meeting in of_ten for attendee in meeting.attendees]
    assert len(set(ids)) == len(ids) == 200
    assert [meeting.room for meeting in of_ten[:2]] == ["room0", "room1"]


def test_spurts_lie_apart_by_the_hangover_within_the_meeting_and_outside_mutes(of_ten: list[Meeting]) -> None:
    for meeting in of_ten:
        for attendee in meeting.attendees:
            spurts, mutes = attendee.spurts, attendee.mutes
            assert all(0 <= one.start_s < one.end_s <= meeting.duration_s for one in (*spurts, *mutes))
            assert all(other.start_s - one.end_s >= 0.4 for one, other in pairwise(spurts))
            assert all(one.end_s < other.start_s for one, other in pairwise(mutes))
            assert all(mute.end_s <= spurt.start_s or spurt.end_s <= mute.start_s for mute in mutes for spurt in spurts)


def test_in_a_meeting_of_ten_about_one_speaks(figures: Statistics) -> None:
    silent, one, two, more = figures.speakers
    assert sum(figures.speakers) == pytest.approx(1)
    assert 0.1 < silent < 0.3
    assert 0.65 < one < 0.85
    assert more < two < 0.15


def test_two_in_five_changes_of_speaker_overlap(figures: Statistics) -> None:
    assert figures.changes_overlapped == pytest.approx(0.40, abs=0.05)


def test_gaps_are_a_fifth_to_two_fifths_of_a_second(figures: Statistics) -> None:
    assert 0.2 < figures.median_gap_s < 0.4


def test_overlap_is_a_tenth_of_the_time_anybody_speaks(figures: Statistics) -> None:
    assert figures.overlapped == pytest.approx(0.10, abs=0.03)


def test_a_spurt_is_about_two_seconds(figures: Statistics) -> None:
    assert figures.spurt_s == pytest.approx(1.9, abs=0.3)


def test_people_talk_unequally(figures: Statistics) -> None:
    assert 0.2 < figures.busiest < 0.35


def test_most_of_the_silent_are_muted(figures: Statistics) -> None:
    assert 0.35 < figures.muted < 0.7


@pytest.mark.parametrize("people", [1, 2, 4])
def test_small_meetings_are_meetings_too(people: int) -> None:
    figures = statistics(meetings(5, people, 300.0, seed=1))
    assert 0.6 < sum(figures.speakers[1:]) < 0.95
    assert (figures.speakers[2] == 0) == (people == 1)


def test_statistics_of_a_meeting_written_by_hand() -> None:
    ann = Attendee("ann", (Interval(0, 4), Interval(8, 9)), ())
    bob = Attendee("bob", (Interval(3, 6),), (Interval(7, 10),))
    figures = statistics([Meeting("m", 10.0, (ann, bob))])
    assert figures == Statistics(
        speakers=(0.3, 0.6, 0.1, 0.0),
        overlapped=1 / 7,
        changes_overlapped=0.5,
        median_gap_s=2.0,
        spurt_s=8 / 3,
        spurts_a_minute=9.0,
        busiest=0.625,
        muted=0.15,
    )
