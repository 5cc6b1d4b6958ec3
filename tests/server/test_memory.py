"""Memory that a rush of tracks has left behind."""

from __future__ import annotations

import gc
import os
import platform
from weakref import ref

import numpy as np
import pytest

from bench.measure.process import resident_mb
from captions.server.memory import Ebb, Freed, give_memory_back, idle_bytes


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps what is freed")
def test_what_was_freed_between_what_lives_goes_back_to_the_system() -> None:
    give_memory_back()
    blocks = [np.ones(12_000) for _ in range(2_000)]
    lives = blocks[::20]
    peak_mb = resident_mb(os.getpid())
    del blocks
    give_memory_back()
    assert resident_mb(os.getpid()) < peak_mb - 100
    assert len(lives) == 100


def test_a_rush_is_over_once_much_more_is_idle_than_before_it() -> None:
    ebb, much = Ebb(), 20 << 20
    assert [ebb.is_over(idle) for idle in (much, 2 * much, much // 2, much)] == [False, True, False, False]
    assert ebb.is_over(2 * much)
    ebb.given_back(2 * much)
    assert [ebb.is_over(idle) for idle in (2 * much, 3 * much)] == [False, True]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")
def test_what_is_freed_counts_as_idle_until_it_is_given_back() -> None:
    give_memory_back()
    before = idle_bytes()
    blocks = [np.ones(12_000) for _ in range(1_000)]
    lives = blocks[::20]
    assert idle_bytes() < before + (30 << 20)
    del blocks
    assert idle_bytes() > before + (60 << 20)
    give_memory_back()
    assert idle_bytes() < before + (30 << 20)
    assert len(lives) == 50


class _Knot:
    """Refers to itself, as a connection does."""

    def __init__(self) -> None:
        self.itself = self


def test_what_many_connections_leave_behind_is_collected_when_they_have_gone() -> None:
    gc.disable()
    try:
        freed = Freed()
        freed.look(150)
        knot = ref(_Knot())
        freed.look(60)
        assert knot() is not None, "for a few it is not worth the time"
        freed.look(50)
        assert knot() is None
        knot = ref(_Knot())
        freed.look(40)
        assert knot() is not None
    finally:
        gc.enable()
