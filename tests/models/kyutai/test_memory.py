from __future__ import annotations

from pathlib import Path

from bench.kyutai_shapes import LM_1B, LM_SMALL, MIMI_1B, MIMI_SMALL
from captions.models.kyutai.memory import memory_of
from captions.models.kyutai.model import KyutaiModel


def test_a_lane_of_the_1b_keeps_a_minute_of_keys_and_values() -> None:
    memory = memory_of(LM_1B, MIMI_1B, weights=0, bytes_per_value=2)
    assert memory.lm_lane == 2 * 16 * 750 * 2048 * 2
    assert 8_192_000 < memory.mimi_lane < 8_300_000


def test_the_caches_on_paper_are_those_in_memory(small_checkpoint: Path) -> None:
    memory = memory_of(LM_SMALL, MIMI_SMALL, weights=0, bytes_per_value=4)
    model = KyutaiModel.load(str(small_checkpoint), 3, "cpu", "float32")
    states = model._mimi.get_streaming_state().values()
    kept = [getattr(state, "kv_cache", None) for state in states]
    convolutions = [getattr(state, "previous", None) for state in states]
    mimi = sum(cache.cache.nbytes for cache in kept if cache is not None)
    mimi += sum(previous.nbytes for previous in convolutions if previous is not None)
    assert model._lm.cache_bytes == 3 * memory.lm_lane
    assert mimi == 3 * memory.mimi_lane
