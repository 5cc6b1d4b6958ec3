from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.kyutai.shapes import LM_SMALL, MIMI_SMALL, write_random_checkpoint
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.memory import memory_of
from captions.models.kyutai.model import KyutaiModel
from captions.models.kyutai.torch_backend.backend import TorchBackend, agree
from captions.models.kyutai.torch_backend.graph import Graph
from captions.models.model import Batch, LaneOutput, LanePause, LaneWord, ModelError
from captions.types import FRAME_SAMPLES, Pcm

LANES = 3
CPU = torch.device("cpu")


def make(folder: Path, dtype: torch.dtype = torch.float32) -> TorchBackend:
    return TorchBackend(Checkpoint.find(str(folder)), LANES, CPU, dtype)


@pytest.fixture
def backend(small_checkpoint: Path) -> TorchBackend:
    backend = make(small_checkpoint)
    backend.warm_up()
    backend.reset(range(LANES))
    return backend


def noise(frames: int) -> list[Pcm]:
    return list(np.random.default_rng(1).normal(scale=0.1, size=(frames, FRAME_SAMPLES)).astype(np.float32))


def say(backend: TorchBackend, lane: int, frames: list[Pcm]) -> list[int]:
    """The tokens of `lane` for `frames`, the others having none."""
    pcm, active = np.zeros((LANES, FRAME_SAMPLES), np.float32), np.arange(LANES) == lane
    tokens = []
    for frame in frames:
        pcm[lane] = frame
        tokens.append(int(backend.step(pcm, active).tokens[lane]))
    return tokens


def test_a_step_gives_a_token_and_the_pause_heads_of_each_active_lane(backend: TorchBackend) -> None:
    active = np.array([True, False, True])
    said = backend.step(np.zeros((LANES, FRAME_SAMPLES), np.float32), active)
    assert (said.tokens.shape, said.tokens.dtype) == ((LANES,), np.dtype(np.int64))
    assert (said.pauses.shape, said.pauses.dtype) == ((LANES, 4), np.dtype(np.float32))
    assert ((said.pauses[active] >= 0) & (said.pauses[active] <= 1)).all()
    assert said.pauses[active].any()


def test_a_checkpoint_without_pause_heads_gives_none(tmp_path: Path) -> None:
    folder = write_random_checkpoint(tmp_path / "plain", LM_SMALL | {"extra_heads_num_heads": 0}, MIMI_SMALL)
    backend = make(folder)
    backend.reset([0])
    said = backend.step(np.zeros((LANES, FRAME_SAMPLES), np.float32), np.arange(LANES) == 0)
    assert said.pauses.shape == (LANES, 0)


def test_a_reset_lane_says_the_same_of_the_same_frames_again(backend: TorchBackend) -> None:
    first = say(backend, 1, noise(30))
    backend.reset([1])
    assert say(backend, 1, noise(30)) == first


def test_a_reset_leaves_the_other_lanes_alone(backend: TorchBackend) -> None:
    frames = noise(40)
    undisturbed = say(backend, 0, frames)
    begun = say(backend, 2, frames[:20])
    backend.reset([0, 1])
    assert begun + say(backend, 2, frames[20:]) == undisturbed


def test_bfloat16_runs(small_checkpoint: Path) -> None:
    backend = make(small_checkpoint, torch.bfloat16)
    backend.warm_up()
    assert len(say(backend, 0, noise(30))) == 30
    backend.close()


def test_silence_costs_a_cpu_as_much_as_speech(backend: TorchBackend) -> None:
    assert not backend.silence_is_free


def test_closing_leaves_no_word_open(small_checkpoint: Path) -> None:
    checkpoint = Checkpoint.find(str(small_checkpoint))
    model = KyutaiModel(checkpoint, checkpoint.load_tokenizer(), make(small_checkpoint))
    model.warm_up()
    batch = Batch.of(LANES, FRAME_SAMPLES)
    batch.active[0] = True
    outputs: list[LaneOutput] = []
    for frame in noise(60):
        batch.pcm[0] = frame
        outputs += model.step(batch)
    batch.closing[0] = True
    outputs += model.step(batch)
    words = [event for output in outputs for event in output.events if not isinstance(event, LanePause)]
    assert any(isinstance(event, LaneWord) for event in words)
    last = words[-1]
    assert not isinstance(last, LaneWord) or last.end is not None


def test_the_caches_on_paper_are_those_in_memory(small_checkpoint: Path) -> None:
    memory = memory_of(LM_SMALL, MIMI_SMALL, weights=0, bytes_per_value=4)
    backend = make(small_checkpoint)
    assert backend.lm.cache_bytes == LANES * memory.lm_lane
    assert backend.encoder.cache_bytes == LANES * memory.mimi_lane


def test_a_rehearsal_agrees_with_itself_but_for_rounding_and_not_with_another_input() -> None:
    random = torch.Generator().manual_seed(1)
    kept, others = torch.randn(2, 10_000, generator=random)
    assert agree(kept, kept * 1.001)
    assert not agree(kept, others), "a graph that does not see its input"
    assert not agree(torch.full_like(kept, torch.nan), kept), "a graph that writes nothing"


def test_warm_up_refuses_a_graph_that_does_nothing(small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a capture on another device's stream would leave it."""
    backend = TorchBackend(Checkpoint.find(str(small_checkpoint)), LANES, CPU, torch.float32, fixed_shapes=True)
    monkeypatch.setattr(Graph, "capture", lambda graph, pool: setattr(graph, "_function", lambda: None))
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    monkeypatch.setattr(backend, "_captures", True)
    with pytest.raises(ModelError, match="does not give what the step itself gives"):
        backend.warm_up()


@pytest.mark.gpu
def test_more_lanes_than_the_gpu_holds(small_checkpoint: Path) -> None:
    with pytest.raises(ModelError, match=r"GiB of GPU memory and .* GiB are free: lower model.lanes"):
        TorchBackend(Checkpoint.find(str(small_checkpoint)), 100_000_000, torch.device("cuda"), torch.float32)


@pytest.mark.gpu
def test_nothing_is_allocated_or_captured_after_warm_up(small_checkpoint: Path) -> None:
    device = torch.device("cuda:0")
    backend = TorchBackend(Checkpoint.find(str(small_checkpoint)), LANES, device, torch.bfloat16)
    backend.warm_up()
    before = torch.cuda.memory_stats(device)["allocation.all.allocated"]
    backend.reset([0, 2])
    for number, frame in enumerate(noise(40)):
        active = (number + 1 >> np.arange(LANES)) & 1 == 1
        if active.any():
            backend.step(np.tile(frame, (LANES, 1)), active)
        if number % 5 == 0:
            backend.reset([number % LANES])
    assert torch.cuda.memory_stats(device)["allocation.all.allocated"] == before
