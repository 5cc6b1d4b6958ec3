"""Memory that a rush of tracks has left behind."""

from __future__ import annotations

import os
import platform

import numpy as np
import pytest

from bench.measure.process import resident_mb
from captions.server.memory import Ebb, give_memory_back


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


def test_a_rush_is_over_once_many_fewer_tracks_are_open_or_none() -> None:
    ebb = Ebb()
    seen = [(0, 0), (5, 5), (0, 5), (0, 5), (150, 155), (60, 155), (50, 155), (20, 155), (0, 155), (0, 160)]
    assert [tracks for tracks, opened in seen if ebb.is_over(tracks, opened)] == [0, 50, 0, 0]
