from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from captions.models.sizing import FULL_STEP_S, Sizing, choose, sizes_up_to


def test_sixty_percent_of_a_frame_is_a_full_step() -> None:
    assert FULL_STEP_S * 1e3 == 48


def test_all_lanes_that_fit_if_they_are_in_time() -> None:
    assert choose(lambda lanes: 0.001 * lanes, [1, 4, 8]) == Sizing(8, ((1, 0.001), (4, 0.004), (8, 0.008)), True)


def test_lanes_between_two_sizes_in_proportion_and_rounded_down_to_what_a_gpu_is_made_for() -> None:
    sizing = choose(lambda lanes: 0.01 + 0.0005 * lanes, [1, 16, 64, 128, 256])
    assert sizing.lanes == 72, "10 ms and half a millisecond a lane: 76 are within 48 ms"
    assert [lanes for lanes, _ in sizing.measured] == [1, 16, 64, 128], "what is larger than too large is not timed"


def test_one_lane_where_not_even_one_is_in_time() -> None:
    assert choose(lambda lanes: 0.2 * lanes, [1, 4, 8]) == Sizing(1, ((1, 0.2),), False)


def test_what_does_not_fit_into_memory_ends_the_search_and_is_told_to_nobody() -> None:
    sizing = choose(lambda lanes: 0.001 * lanes if lanes <= 16 else math.inf, [1, 4, 16, 64, 128])
    assert sizing == Sizing(16, ((1, 0.001), (4, 0.004), (16, 0.016)), True)


def test_the_last_size_is_what_fits_into_memory() -> None:
    assert sizes_up_to(100) == [1, 4, 16, 64, 100]
    assert sizes_up_to(4) == [1, 4]
    assert sizes_up_to(1) == [1]


@given(fixed_s=st.floats(0, 0.1), lane_s=st.floats(1e-5, 0.1), most=st.integers(1, 1024))
def test_a_full_step_of_the_lanes_chosen_is_within_the_limit(fixed_s: float, lane_s: float, most: int) -> None:
    def step_s(lanes: int) -> float:
        return fixed_s + lane_s * lanes

    sizing = choose(step_s, sizes_up_to(most))
    assert 1 <= sizing.lanes <= most
    assert sizing.fits == (step_s(1) <= FULL_STEP_S)
    assert not sizing.fits or step_s(sizing.lanes) <= FULL_STEP_S + 1e-9
    assert all(less < more for (less, _), (more, _) in pairwise(sizing.measured))
