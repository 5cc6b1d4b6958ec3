"""Schedules for the oracle, drawn and made smaller by Hypothesis."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from bench.kyutai.oracle import LANES, POISONS, Oracle, Schedule, Stream

__all__ = ["run", "schedules"]

_streams = st.builds(
    Stream,
    sound=st.integers(0, 10**6),
    silence_frames=st.sampled_from([0, 0, 1]),
    frames=st.integers(1, 45),
    flushed=st.booleans(),
    wait=st.integers(0, 20),
    poison=st.sampled_from([*[""] * 8, *POISONS]),
)
schedules = st.builds(
    Schedule,
    lanes=st.lists(st.lists(_streams, max_size=3), min_size=LANES, max_size=LANES),
    frames_at=st.lists(st.integers(0, (1 << LANES) - 1), max_size=120),
)
"""What Hypothesis draws from."""


def run(oracle: Oracle, count: int, start: int) -> None:
    """Check `count` schedules drawn by Hypothesis, from seed `start` on.

    Raises:
        AssertionError: a schedule failed; Hypothesis prints the smallest it could find.
    """

    @seed(start)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(schedule=schedules)
    def every_schedule(schedule: Schedule) -> None:
        oracle.check(schedule)

    every_schedule()
