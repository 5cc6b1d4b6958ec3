from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from captions.models.kyutai.model import KyutaiModel
from captions.models.model import Batch, LaneOutput, LanePause, LaneWord, ModelError, ModelInfo
from captions.types import FRAME_SAMPLES

LANES = 3


@pytest.fixture
def model(small_checkpoint: Path) -> KyutaiModel:
    model = KyutaiModel.load(str(small_checkpoint), LANES, "cpu", "float32")
    model.warm_up()
    return model


def noise(frames: int, seed: int = 1) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    return list(np.random.default_rng(seed).normal(scale=0.1, size=(frames, FRAME_SAMPLES)).astype(np.float32))


def hear(model: KyutaiModel, lane: int, frames: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]) -> list[int]:
    """The tokens of `lane` for `frames`, the others having none."""
    batch = Batch.of(LANES, FRAME_SAMPLES)
    batch.active[lane] = True
    tokens = []
    for frame in frames:
        batch.pcm[lane] = frame
        model.step(batch)
        tokens.append(int(model.tokens[lane]))
    return tokens


def test_what_the_service_is_told(model: KyutaiModel) -> None:
    assert model.info == ModelInfo(
        name="small",
        languages=("und",),
        lanes=LANES,
        delay_frames=6,
        prefix_frames=13,
        flush_frames=8,
        feeds_silence=False,
        can_stall=True,
        hangover_s=0.8,
        pause_heads=4,
    )


def test_a_step_without_an_active_lane_does_nothing(model: KyutaiModel) -> None:
    assert model.step(Batch.of(LANES, FRAME_SAMPLES)) == []


def test_every_active_lane_gives_its_pause_heads(model: KyutaiModel) -> None:
    batch = Batch.of(LANES, FRAME_SAMPLES)
    batch.active[:] = [True, False, True]
    outputs = model.step(batch)
    assert [output.lane for output in outputs] == [0, 2]
    for output in outputs:
        (pause,) = [event for event in output.events if isinstance(event, LanePause)]
        assert len(pause.probabilities) == 4
        assert all(0.0 <= probability <= 1.0 for probability in pause.probabilities)


def test_a_reset_lane_hears_as_if_for_the_first_time(model: KyutaiModel) -> None:
    first = hear(model, 1, noise(30))
    model.reset([1])
    assert hear(model, 1, noise(30)) == first


def test_a_reset_leaves_the_other_lanes_alone(model: KyutaiModel) -> None:
    frames = noise(40)
    undisturbed = hear(model, 0, frames)
    begun = hear(model, 2, frames[:20])
    model.reset([0, 1])
    assert begun + hear(model, 2, frames[20:]) == undisturbed


def test_closing_leaves_no_word_open(model: KyutaiModel) -> None:
    batch = Batch.of(LANES, FRAME_SAMPLES)
    batch.active[0] = True
    outputs: list[LaneOutput] = []
    for frame in noise(60):
        batch.pcm[0] = frame
        outputs += model.step(batch)
    batch.closing[0] = True
    outputs += model.step(batch)
    batch.closing[0] = False
    words = [event for output in outputs for event in output.events if not isinstance(event, LanePause)]
    assert any(isinstance(event, LaneWord) for event in words)
    last = words[-1]
    assert not isinstance(last, LaneWord) or last.end is not None


def test_bfloat16_runs(small_checkpoint: Path) -> None:
    model = KyutaiModel.load(str(small_checkpoint), LANES, "cpu", "bfloat16")
    model.warm_up()
    assert len(hear(model, 0, noise(30))) == 30
    model.close()


@pytest.mark.parametrize("device", ["toaster", "meta"])
def test_an_unknown_device(small_checkpoint: Path, device: str) -> None:
    with pytest.raises(ModelError, match=f"model.device: '{device}' is not .*; use cpu, cuda or cuda:0"):
        KyutaiModel.load(str(small_checkpoint), LANES, device, "float32")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_no_gpu(small_checkpoint: Path) -> None:
    with pytest.raises(ModelError, match="there is no NVIDIA GPU cuda that this PyTorch can use"):
        KyutaiModel.load(str(small_checkpoint), LANES, "cuda", "float32")


@pytest.mark.gpu
def test_more_lanes_than_the_gpu_holds(small_checkpoint: Path) -> None:
    with pytest.raises(ModelError, match=r"GiB of GPU memory and .* GiB are free: lower model.lanes"):
        KyutaiModel.load(str(small_checkpoint), 100_000_000, "cuda", "float32")
