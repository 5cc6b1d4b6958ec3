"""The detector, batched over tracks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from captions.vad.silero import CHUNK_SAMPLES, VAD_RATE, SileroVad
from tests.speech import dickens

Chunks = NDArray[np.float32]


def speech(chunks: int, start_s: float = 1.4) -> Chunks:
    """[chunks, 512] of the reader's voice at 16 kHz."""
    pcm = dickens(start_s, start_s + (chunks + 1) * CHUNK_SAMPLES / VAD_RATE, VAD_RATE)
    return pcm[: chunks * CHUNK_SAMPLES].reshape(chunks, CHUNK_SAMPLES)


def alone(chunks: Chunks) -> list[float]:
    """The probabilities of one stream that has a detector to itself."""
    vad = SileroVad()
    stream = vad.open()
    return [float(vad.probabilities([stream], chunk[None])[0]) for chunk in chunks]


def test_speech_is_told_from_silence() -> None:
    assert np.mean(alone(speech(60))) > 0.8
    assert max(alone(speech(30, start_s=0.0))) < 0.3
    assert max(alone(np.zeros((30, CHUNK_SAMPLES), np.float32))) < 0.3


def test_a_batch_of_streams_hears_what_each_would_hear_alone() -> None:
    vad = SileroVad()
    streams = [vad.open() for _ in range(4)]
    chunks = [speech(12, start_s) for start_s in (0.0, 1.4, 5.0, 8.0)]
    heard: list[list[float]] = [[] for _ in streams]
    for ready in [[0, 1, 2, 3], [3, 1], [2], [0, 2], [1, 3, 0], [2, 0]] * 3:
        probabilities = vad.probabilities(
            [streams[i] for i in ready], np.stack([chunks[i][len(heard[i])] for i in ready])
        )
        for i, probability in zip(ready, probabilities.tolist(), strict=True):
            heard[i].append(probability)
    assert [len(h) for h in heard] == [12, 9, 12, 9]
    for ours, theirs in zip(heard, chunks, strict=True):
        np.testing.assert_allclose(ours, alone(theirs[: len(ours)]), atol=1e-4)


def test_probabilities_are_probabilities() -> None:
    vad = SileroVad()
    streams = [vad.open() for _ in range(3)]
    noise = np.random.default_rng(1).uniform(-1, 1, (3, CHUNK_SAMPLES)).astype(np.float32)
    probabilities = vad.probabilities(streams, noise)
    assert probabilities.shape == (3,)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_a_stream_opened_where_another_was_closed_starts_afresh() -> None:
    vad = SileroVad()
    first = vad.open()
    for chunk in speech(20):
        vad.probabilities([first], chunk[None])
    vad.close(first)
    second = vad.open()
    assert second == first
    heard = [float(vad.probabilities([second], chunk[None])[0]) for chunk in speech(10, 5.0)]
    assert heard == pytest.approx(alone(speech(10, 5.0)), abs=1e-4)


def test_a_reset_stream_starts_afresh_and_leaves_the_others_alone() -> None:
    vad = SileroVad()
    reset, kept = vad.open(), vad.open()
    for chunk in speech(10):
        vad.probabilities([reset, kept], np.stack([chunk, chunk]))
    vad.reset(reset)
    heard = [vad.probabilities([reset, kept], np.stack([chunk, chunk])).tolist() for chunk in speech(20)[10:]]
    assert [h[0] for h in heard] == pytest.approx(alone(speech(20)[10:]), abs=1e-4)
    assert [h[1] for h in heard] == pytest.approx(alone(speech(20))[10:], abs=1e-4)


def test_more_streams_than_at_first_expected_keep_their_memory() -> None:
    vad = SileroVad()
    first = vad.open()
    heard = [float(vad.probabilities([first], chunk[None])[0]) for chunk in speech(5)]
    more = [vad.open() for _ in range(50)]
    assert len({first, *more}) == 51
    heard += [float(vad.probabilities([first], chunk[None])[0]) for chunk in speech(10)[5:]]
    assert heard == pytest.approx(alone(speech(10)), abs=1e-4)
