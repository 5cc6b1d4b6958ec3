from __future__ import annotations

from bench.kyutai.shapes import LM_1B, MIMI_1B
from captions.models.kyutai.memory import WORKSPACE_BYTES, memory_of


def test_a_lane_of_the_1b_keeps_a_minute_of_keys_and_values() -> None:
    memory = memory_of(LM_1B, MIMI_1B, weights=0, bytes_per_value=2)
    assert memory.lm_lane == 2 * 16 * 752 * 2048 * 2, "a minute is 750 frames, rounded up to a multiple of 16"
    assert 8_192_000 < memory.mimi_lane < 8_300_000


def test_weights_are_held_once_and_caches_for_each_lane() -> None:
    memory = memory_of(LM_1B, MIMI_1B, weights=1_000, bytes_per_value=2)
    assert memory.total(3) == 1_000 + 3 * (memory.lm_lane + memory.mimi_lane)
    assert memory.needed(3) == memory.total(3) + 3 * memory.step_lane + WORKSPACE_BYTES
    assert memory.step_lane == 4 * 64 * 1_920 * 4


def test_as_many_lanes_as_are_needed_for_fit_and_no_more() -> None:
    memory = memory_of(LM_1B, MIMI_1B, weights=2 << 30, bytes_per_value=2)
    assert memory.lanes_in(memory.needed(64)) == 64
    assert memory.lanes_in(memory.needed(64) - 1) == 63
    assert memory.lanes_in(memory.weights) == 0
