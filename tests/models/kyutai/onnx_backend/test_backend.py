"""The engine without a GPU: its contract, and that what it rounds is rounded for each lane alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.kyutai.shapes import LM_SMALL, MIMI_SMALL, write_random_checkpoint
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.onnx_backend.backend import OnnxBackend
from captions.models.kyutai.onnx_backend.convert import convert
from captions.models.kyutai.onnx_backend.rings import Rings, Shape
from captions.models.load import DIGITS
from captions.types import FRAME_SAMPLES, Pcm

LANES = 3


def make(folder: Path, weights: str = "float32", lanes: int = LANES) -> OnnxBackend:
    checkpoint = Checkpoint.find(str(folder))
    backend = OnnxBackend(checkpoint, lanes, convert(checkpoint, weights), weights, threads=1)
    backend.warm_up()
    backend.reset(range(lanes))
    return backend


def noise(frames: int, seed: int = 1) -> list[Pcm]:
    return list(np.random.default_rng(seed).normal(scale=0.1, size=(frames, FRAME_SAMPLES)).astype(np.float32))


def say(backend: OnnxBackend, lane: int, frames: list[Pcm], others: list[Pcm] | None = None) -> list[list[float]]:
    """Token and pauses of `lane` for each frame; the other lanes have those of `others`, or none."""
    pcm, active = np.zeros((backend.lanes, FRAME_SAMPLES), np.float32), np.arange(backend.lanes) == lane
    found = []
    for number, frame in enumerate(frames):
        if others is not None:
            active[:], pcm[:] = True, others[number]
        pcm[lane] = frame
        said = backend.step(pcm, active)
        found.append([float(said.tokens[lane]), *said.pauses[lane].tolist()])
    return found


def test_a_step_gives_a_token_and_the_pause_heads_of_each_active_lane(small_checkpoint: Path) -> None:
    backend = make(small_checkpoint)
    active = np.array([True, False, True])
    said = backend.step(np.zeros((LANES, FRAME_SAMPLES), np.float32), active)
    assert (said.tokens.shape, said.tokens.dtype) == ((LANES,), np.dtype(np.int64))
    assert (said.pauses.shape, said.pauses.dtype) == ((LANES, 4), np.dtype(np.float32))
    assert ((said.pauses[active] >= 0) & (said.pauses[active] <= 1)).all()
    assert said.pauses[active].any()
    assert not backend.silence_is_free
    backend.close()


def test_a_checkpoint_without_pause_heads_gives_none(tmp_path: Path) -> None:
    folder = write_random_checkpoint(tmp_path / "plain", LM_SMALL | {"extra_heads_num_heads": 0}, MIMI_SMALL)
    said = make(folder).step(np.zeros((LANES, FRAME_SAMPLES), np.float32), np.arange(LANES) == 0)
    assert said.pauses.shape == (LANES, 0)


def test_a_reset_lane_says_the_same_of_the_same_frames_again(small_checkpoint: Path) -> None:
    backend = make(small_checkpoint)
    first = say(backend, 1, noise(30))
    backend.reset([1])
    assert say(backend, 1, noise(30)) == first


def test_a_reset_leaves_the_other_lanes_alone(small_checkpoint: Path) -> None:
    backend, frames = make(small_checkpoint), noise(40)
    undisturbed = say(backend, 0, frames)
    begun = say(backend, 2, frames[:20])
    backend.reset([0, 1])
    assert begun + say(backend, 2, frames[20:]) == undisturbed


def test_a_lane_that_is_reset_gives_back_the_memory_of_a_long_spurt() -> None:
    rings = Rings(Shape(lanes=2, layers=4, heads=4, dim=64, context=1_024, places=1, max_period=None))
    before = resident_bytes(rings)
    rings.fill(0, 1_024)
    rings.fill(1, 1_024)
    assert resident_bytes(rings) - before == rings.kept.nbytes
    rings.reset([0])
    assert resident_bytes(rings) - before == rings.kept.nbytes // 2
    assert not rings.kept[:, 0].any()
    assert rings.kept[:, 1].all(), "the other lane's stays"


def resident_bytes(rings: Rings) -> int:
    """Of the mapping in which the rings lie, as the system counts it."""
    address, inside = rings.kept.ctypes.data, False
    for words in map(str.split, Path("/proc/self/smaps").read_text().splitlines()):
        if "-" in words[0]:
            start, end = (int(part, 16) for part in words[0].split("-"))
            inside = start <= address < end
        elif inside and words[0] == "Rss:":
            return int(words[1]) * 1024
    raise AssertionError("the rings lie in no mapping")


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_rounded_weights_say_the_same_of_a_lane_whatever_else_is_in_the_batch(weights: str) -> None:
    """Louder company must not change how coarsely a lane's own values are rounded."""
    backend = make(DIGITS, weights)
    frames = noise(60)
    alone = say(backend, 1, frames)
    backend.reset(range(LANES))
    loud = [frame * 8 for frame in noise(60, seed=2)]
    in_company = say(backend, 1, frames, loud)
    assert [row[0] for row in in_company] == [row[0] for row in alone]
    assert np.abs(np.array(in_company) - np.array(alone)).max() < 1e-4


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("company", [[0], [0, 2], [2, 3], [0, 2, 3, 4]])
def test_of_the_same_codes_the_language_model_says_the_same_to_the_last_bit(weights: str, company: list[int]) -> None:
    checkpoint = Checkpoint.find(str(DIGITS))
    lm = OnnxBackend(checkpoint, 5, convert(checkpoint, weights), weights, threads=1).lm
    random = np.random.default_rng(1)
    codes = random.integers(checkpoint.config["card"], size=(60, 5, checkpoint.config["n_q"]))

    def say(lanes: list[int]) -> list[NDArray[np.float32]]:
        lm.reset(range(5))
        return [lm.step(of_frame[lanes], np.array(lanes))[1][lanes.index(1)].copy() for of_frame in codes]

    assert np.array_equal(say([1]), say(sorted([1, *company])))


@pytest.mark.parametrize(("weights", "off"), [("int8", 0.02), ("int4", 0.2)])
def test_rounded_weights_are_near_the_full_ones(weights: str, off: float) -> None:
    full, rounded = (np.array(say(make(DIGITS, kind, 1), 0, noise(40))) for kind in ("float32", weights))
    assert (full[:, 0] == rounded[:, 0]).mean() > 0.9
    assert 0 < np.abs(full[:, 1:] - rounded[:, 1:]).max() < off
