"""Frames lie on a grid that a jump does not shift, and hold exactly what was added."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.stream.frame_cutter import FrameCutter
from captions.types import FRAME_SAMPLES, Pcm


def tone(samples: int, level: float = 0.5) -> Pcm:
    return np.full(samples, level, np.float32)


def test_a_frame_wants_what_it_lacks_and_is_cut_where_it_began() -> None:
    cutter = FrameCutter()
    assert (cutter.wants, cutter.position) == (FRAME_SAMPLES, 0)
    cutter.add(tone(500))
    assert (cutter.wants, cutter.position, cutter.audio_from) == (FRAME_SAMPLES - 500, 500, 0)
    cutter.add(tone(FRAME_SAMPLES - 500, 0.25))
    frame = cutter.cut(arrived_at=3.0)
    assert (frame.start, frame.arrived_at) == (0, 3.0)
    np.testing.assert_array_equal(frame.pcm, np.concatenate([tone(500), tone(FRAME_SAMPLES - 500, 0.25)]))
    assert (cutter.wants, cutter.position, cutter.audio_from) == (FRAME_SAMPLES, FRAME_SAMPLES, FRAME_SAMPLES)


def test_a_frame_is_never_written_to_again() -> None:
    cutter = FrameCutter()
    cutter.add(tone(FRAME_SAMPLES))
    frame = cutter.cut(0.0)
    cutter.add(tone(FRAME_SAMPLES, 0.1))
    cutter.cut(0.0)
    np.testing.assert_array_equal(frame.pcm, tone(FRAME_SAMPLES))


@given(st.integers(0, 10 * FRAME_SAMPLES))
def test_a_jump_leaves_the_grid_where_it_was_and_silence_before_it(position: int) -> None:
    cutter = FrameCutter()
    cutter.add(tone(700))
    start = cutter.jump(position)
    assert start == position // FRAME_SAMPLES * FRAME_SAMPLES
    assert (cutter.position, cutter.audio_from) == (position, position)
    cutter.add(tone(cutter.wants))
    frame = cutter.cut(0.0)
    assert frame.start == start
    np.testing.assert_array_equal(frame.pcm, np.where(np.arange(start, frame.end) < position, 0.0, np.float32(0.5)))


def test_finishing_fills_up_with_silence_and_the_next_frame_begins_where_the_audio_ended() -> None:
    cutter = FrameCutter()
    assert cutter.finish(1.0) is None
    cutter.add(tone(700))
    frame = cutter.finish(2.0)
    assert frame is not None
    assert (frame.start, frame.arrived_at) == (0, 2.0)
    np.testing.assert_array_equal(frame.pcm, np.concatenate([tone(700), tone(FRAME_SAMPLES - 700, 0.0)]))
    assert (cutter.position, cutter.wants) == (700, FRAME_SAMPLES)


@pytest.mark.parametrize("level", [3e38, -3e38, np.inf, -np.inf, 1.5])
def test_frames_are_clipped_to_full_scale(level: float) -> None:
    cutter = FrameCutter()
    cutter.add(tone(FRAME_SAMPLES, level))
    whole = cutter.cut(0.0)
    cutter.add(tone(700, level))
    part = cutter.finish(0.0)
    assert part is not None
    np.testing.assert_array_equal(whole.pcm, tone(FRAME_SAMPLES, np.sign(level)))
    np.testing.assert_array_equal(part.pcm[:700], tone(700, np.sign(level)))
