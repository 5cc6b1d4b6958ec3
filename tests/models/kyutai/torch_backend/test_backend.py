from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.kyutai.oracle import sound
from bench.kyutai.shapes import LM_SMALL, MIMI_SMALL, write_random_checkpoint
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.memory import memory_of
from captions.models.kyutai.model import KyutaiModel
from captions.models.kyutai.torch_backend.backend import TorchBackend, agree
from captions.models.kyutai.torch_backend.graph import Graph
from captions.models.kyutai.torch_backend.loading import load_mimi
from captions.models.kyutai.torch_backend.weights import Weights
from captions.models.load import DIGITS
from captions.models.model import Batch, LaneOutput, LanePause, LaneWord, ModelError
from captions.types import FRAME_SAMPLES, Pcm

LANES = 3
CPU = torch.device("cpu")


def make(folder: Path, dtype: torch.dtype = torch.float32) -> TorchBackend:
    return TorchBackend(Weights.load(Checkpoint.find(str(folder)), CPU, dtype), LANES)


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
    backend = make(small_checkpoint)
    monkeypatch.setattr(Graph, "capture", lambda graph, pool, stream: setattr(graph, "_function", lambda: None))
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    monkeypatch.setattr(backend, "_captures", True)
    with pytest.raises(ModelError, match="does not give what the step itself gives"):
        backend.warm_up()


def test_the_window_is_the_smallest_that_holds_what_the_lanes_with_a_frame_have_heard(backend: TorchBackend) -> None:
    assert backend.lm.windows == (16, 32), "the context of 24 and its half, each rounded up"
    ran: list[int] = []
    steps = dict(backend._steps)

    def run(window: int) -> None:
        ran.append(window)
        steps[window]()

    for window in steps:
        backend._steps[window] = Graph(partial(run, window))
    say(backend, 0, noise(20))
    assert ran == [16] * 15 + [32] * 5, "the priming step is a place of its own"
    say(backend, 1, noise(1))
    assert ran[-1] == 16, "what lane 0 has heard is nothing to a step of lane 1"


def test_all_windows_say_the_same(backend: TorchBackend) -> None:
    first = say(backend, 1, noise(12))
    backend.reset([1])
    backend._heard[1] = 20
    assert say(backend, 1, noise(12)) == first, "as if it had heard more, so by the larger window"


def test_everything_is_captured_in_warm_up_and_nothing_after(
    small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = make(small_checkpoint)
    pretend_to_capture(backend, monkeypatch)
    assert backend.captures == 0
    backend.warm_up()
    assert backend.captures == 1 + len(backend.lm.windows)
    traffic(backend)
    assert backend.captures == 1 + len(backend.lm.windows)


def test_a_full_step_is_timed_with_all_that_a_lane_can_remember(backend: TorchBackend) -> None:
    assert backend.full_step_s() > 0
    assert (backend._heard >= backend.lm.context).all()
    backend.reset(range(LANES))
    assert len(say(backend, 0, noise(3))) == 3


def test_a_closed_backend_leaves_the_weights_to_another(small_checkpoint: Path) -> None:
    weights = Weights.load(Checkpoint.find(str(small_checkpoint)), CPU, torch.float32)
    first = TorchBackend(weights, LANES)
    first.warm_up()
    said = say(first, 0, noise(10))
    first.close()
    second = TorchBackend(weights, LANES)
    second.warm_up()
    assert say(second, 0, noise(10)) == said


def test_float16_says_nearly_what_float32_says_of_real_speech() -> None:
    """For GPUs without bfloat16. The digits are a model that was trained, so its values are of the usual size."""
    frames = list(sound(number=3, frames=45))
    wide, narrow = (say(make(DIGITS, dtype), 0, frames) for dtype in (torch.float32, torch.float16))
    equal = sum(one == other for one, other in zip(wide, narrow, strict=True))
    assert equal >= 43, f"{wide} {narrow}"


def test_a_model_whose_weights_or_values_leave_the_range_of_float16_is_refused(folder: Path) -> None:
    file = folder / "model.safetensors"
    weights = load_file(file)
    name = "text_emb.weight"
    save_file(weights | {name: weights[name] * 30_000}, file)
    with pytest.raises(ModelError, match="use float32"):
        make(folder, torch.float16).warm_up()
    save_file(weights | {name: weights[name] * 1e30}, file)
    with pytest.raises(ModelError, match=r"weights of broken leave the range of float16; use float32"):
        make(folder, torch.float16)


def pretend_to_capture(backend: TorchBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture that keeps the function: a CPU has no graphs."""
    monkeypatch.setattr(Graph, "capture", lambda graph, pool, stream: setattr(graph, "captures", graph.captures + 1))
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    monkeypatch.setattr(backend, "_captures", True)


def traffic(backend: TorchBackend) -> None:
    """Lanes that come, go, pause and are reset, until the whole context has been heard."""
    backend.reset([0, 2])
    for number, frame in enumerate(noise(60)):
        active = (number + 1 >> np.arange(LANES)) & 1 == 1
        if active.any():
            backend.step(np.tile(frame, (LANES, 1)), active)
        if number % 31 == 0:
            backend.reset([number % LANES])


@pytest.mark.gpu
def test_more_lanes_than_the_gpu_holds(small_checkpoint: Path) -> None:
    checkpoint, gpu = Checkpoint.find(str(small_checkpoint)), torch.device("cuda:0")
    for load in (1, 100_000_000):
        with pytest.raises(ModelError, match=r"GiB of GPU memory and .* GiB are free: lower model.lanes"):
            TorchBackend(Weights.load(checkpoint, gpu, torch.float32, load), 100_000_000)


@pytest.mark.gpu
@pytest.mark.parametrize("index", range(max(1, torch.cuda.device_count())))
def test_after_warm_up_nothing_is_captured_allocated_or_compiled(small_checkpoint: Path, index: int) -> None:
    """On every GPU there is: a capture on another than the first was empty once."""
    gpu = torch.device("cuda", index)
    backend = TorchBackend(Weights.load(Checkpoint.find(str(small_checkpoint)), gpu, torch.bfloat16), LANES)
    backend.warm_up()
    captures, allocations = backend.captures, torch.cuda.memory_stats(gpu)["allocation.all.allocated"]
    assert captures == 1 + len(backend.lm.windows)
    # In a thread of its own, as the server's: its current device is the first GPU whatever this one's is.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(traffic, backend).result()
    assert backend.captures == captures
    assert torch.cuda.memory_stats(gpu)["allocation.all.allocated"] == allocations
    assert not torch._dynamo.utils.counters["stats"], "something was compiled"


@pytest.mark.gpu
def test_a_step_waits_for_the_device_once(small_checkpoint: Path) -> None:
    gpu = torch.device("cuda:0")
    backend = TorchBackend(Weights.load(Checkpoint.find(str(small_checkpoint)), gpu, torch.bfloat16), LANES)
    backend.warm_up()
    torch.cuda.set_sync_debug_mode("error")
    try:
        say(backend, 0, noise(20))
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_mimi_computes_in_float32_and_not_in_tf32(small_checkpoint: Path) -> None:
    checkpoint, gpu = Checkpoint.find(str(small_checkpoint)), torch.device("cuda:0")
    on_gpu, on_cpu = (load_mimi(checkpoint, device).encoder for device in (gpu, CPU))
    Weights.load(checkpoint, gpu, torch.float32)
    pcm = torch.from_numpy(np.stack(noise(4)))[:, None]
    with torch.inference_mode():
        near, far = on_gpu(pcm.to(gpu)).cpu(), on_cpu(pcm)
    assert (near - far).abs().max() < 1e-4 * far.abs().max(), "TF32 keeps ten bits, which is off by a thousandth"
