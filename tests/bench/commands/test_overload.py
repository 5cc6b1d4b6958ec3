"""The crowd of an overload, and when its lag is over."""

from __future__ import annotations

from bench.commands.overload import calm_after_s, crowd


def test_most_of_the_crowd_falls_silent_and_the_rest_talks_on() -> None:
    people = crowd(speakers=6, lasting=2, overload_s=2.0, calm_s=3.0)
    assert [one.duration_s for one in people] == [5.0] * 6
    assert [clip.duration_s for one in people for _, clip in one.pieces] == [5.0] * 2 + [2.0] * 4


def test_it_is_over_with_the_last_three_seconds_that_were_too_late() -> None:
    moments = [(9.9, 9_000.0), (10.5, 50.0), (13.1, 900.0), (14.0, 201.0), (16.2, 60.0), (19.0, 60.0)]
    assert calm_after_s(moments, calm_at=10.0, calm_s=12.0, normal_ms=200.0) == 6.0


def test_it_never_began_if_nothing_was_too_late() -> None:
    moments = [(9.0, 500.0), (10.0, 200.0), (14.0, 200.0)]
    assert calm_after_s(moments, calm_at=10.0, calm_s=6.0, normal_ms=200.0) == 0.0


def test_a_server_that_falls_silent_is_not_calm() -> None:
    assert calm_after_s([(9.0, 50.0), (10.5, 50.0)], calm_at=10.0, calm_s=9.0, normal_ms=200.0) == 9.0
