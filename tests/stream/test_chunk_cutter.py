"""Chunks follow each other without a gap, at the detector's rate, and say so where audio before them is missing."""

from __future__ import annotations

import numpy as np
import pytest

from captions.stream.chunk_cutter import CHUNK_SPAN, ChunkCutter
from captions.types import FRAME_SAMPLES, SAMPLE_RATE, Pcm
from captions.vad.silero import CHUNK_SAMPLES, VAD_RATE


def hum(samples: int) -> Pcm:
    return np.asarray(np.sin(2 * np.pi * 200 / SAMPLE_RATE * np.arange(samples)), np.float32)


def test_a_second_of_frames_is_a_second_of_chunks_at_the_detectors_rate() -> None:
    cutter, pcm = ChunkCutter(), hum(25 * FRAME_SAMPLES)
    chunks = [chunk for frame in pcm.reshape(-1, FRAME_SAMPLES) for chunk in cutter.add(frame)]
    assert [chunk.start for chunk in chunks] == [n * CHUNK_SPAN for n in range(len(chunks))]
    assert len(chunks) in (2 * VAD_RATE // CHUNK_SAMPLES - 1, 2 * VAD_RATE // CHUNK_SAMPLES)
    heard = np.concatenate([chunk.pcm for chunk in chunks])
    wanted = np.sin(2 * np.pi * 200 / VAD_RATE * np.arange(len(heard)))
    assert np.abs(heard - wanted)[200:].max() < 0.02
    assert not any(chunk.fresh for chunk in chunks)


def test_little_audio_makes_no_chunk_until_more_comes() -> None:
    cutter = ChunkCutter()
    assert cutter.add(hum(CHUNK_SPAN // 2)) == ()
    (chunk,) = cutter.add(hum(CHUNK_SPAN))
    assert (chunk.start, len(chunk.pcm)) == (0, CHUNK_SAMPLES)


@pytest.mark.parametrize("position", [0, 1, FRAME_SAMPLES, 5 * FRAME_SAMPLES, CHUNK_SPAN, 7 * CHUNK_SPAN + 300])
def test_after_a_jump_the_first_chunk_is_fresh_on_the_old_grid_and_silent_up_to_there(position: int) -> None:
    cutter = ChunkCutter()
    cutter.add(hum(FRAME_SAMPLES))
    cutter.jump(position)
    chunks = cutter.add(hum(3 * FRAME_SAMPLES))
    assert [chunk.start for chunk in chunks][:2] == [
        position // CHUNK_SPAN * CHUNK_SPAN,
        (position // CHUNK_SPAN + 1) * CHUNK_SPAN,
    ]
    assert [chunk.fresh for chunk in chunks] == [True] + [False] * (len(chunks) - 1)
    silent = position % CHUNK_SPAN * VAD_RATE // SAMPLE_RATE
    assert not chunks[0].pcm[:silent].any()
    assert chunks[0].pcm[silent + 20 :].any()
