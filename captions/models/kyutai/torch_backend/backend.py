"""Kyutai's model run by PyTorch: Mimi's encoder and one step of the language model, over moshi's weights.

One copy goes to the device for each step, and one comes back. Between them a GPU runs one captured graph.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import numpy as np
import torch
from moshi.utils.compile import no_compile
from numpy.typing import NDArray

from captions.models.kyutai.backend import Said
from captions.models.kyutai.memory import GIB
from captions.models.kyutai.torch_backend.attention import ATTENTION, Attention
from captions.models.kyutai.torch_backend.encoder import Encoder
from captions.models.kyutai.torch_backend.graph import Graph
from captions.models.kyutai.torch_backend.lm_step import LmStep
from captions.models.kyutai.torch_backend.weights import Weights
from captions.models.model import ModelError, NoRoom
from captions.types import FRAME_SAMPLES, Pcm

__all__ = ["TorchBackend", "agree"]

PROOF_STEPS = 4
"""Steps of each graph, on different noise, that must give what the same steps give without a graph."""

PROOF_TOLERANCE = 0.05
PROOF_SHARE = 0.9
"""So much of what the two give must agree within the tolerance: kernels may round otherwise, and a choice may then fall
the other way. A graph that is empty, or does not see its input, agrees by chance in a few percent.
"""

PROOF_LEVEL = 0.1
TIMED_STEPS = 5


class TorchBackend:
    """See `Backend` for the contract. `encoder` and `lm` are its two parts, for tests and measurements.

    All lanes run in every step, so shapes are fixed. All memory for the lanes is taken now. `graphs`: on a GPU, capture
    steps and resets in `warm_up`; without, each kernel is launched, which is slower and only good for comparison.
    `prefix_frames`: of silence, which are run once, here.
    `close` leaves the weights, for another backend.

    Raises:
        ModelError: not enough memory.
    """

    def __init__(
        self,
        weights: Weights,
        lanes: int,
        *,
        prefix_frames: int = 0,
        attention: Attention = ATTENTION,
        graphs: bool = True,
    ) -> None:
        self._device = weights.device
        on_gpu = self._device.type == "cuda"
        if on_gpu:
            weights.check_room(lanes)
        self.lanes, self.prefix_frames = lanes, prefix_frames
        self.silence_is_free = on_gpu
        self._captures = on_gpu and graphs
        # Everything runs on a stream of our own: captures must, and what ran on it before leaves them nothing to do.
        self._stream = torch.cuda.Stream(self._device) if on_gpu else None
        self._done = torch.cuda.Event(blocking=True) if on_gpu else None
        with self._at_work():
            # The one that may find no memory comes first: Mimi can serve another backend only if this one lets it go.
            self.lm = LmStep(weights.lm, lanes, attention)
            self.encoder = Encoder(weights.mimi, lanes)
            # The frames and, behind each, whether the lane is active: one buffer, so one copy to the device.
            self._inbox = torch.zeros(lanes, FRAME_SAMPLES + 1, pin_memory=on_gpu)
            self._outbox = torch.zeros(lanes, 1 + len(weights.lm.extra_heads), pin_memory=on_gpu)
            self._chosen = torch.zeros(lanes, dtype=torch.bool)
            # Where a graph reads and writes; on a CPU the same tensors.
            self._device_inbox, self._device_outbox = self._inbox.to(self._device), self._outbox.to(self._device)
            self._device_chosen = self._chosen.to(self._device)
        self._inbox_array, self._outbox_array = self._inbox.numpy(), self._outbox.numpy()
        self._chosen_array = self._chosen.numpy()
        self._heard = np.zeros(lanes, np.int64)
        self._start_heard = 1
        self._reset = Graph(self.run_reset)
        self._steps = {window: Graph(partial(self.run_step, window)) for window in self.lm.windows}
        self._hear_prefix()

    @property
    def device(self) -> str:
        if self._device.type != "cuda":
            threads = torch.get_num_threads()
            return f"the CPU, {threads} {'thread' if threads == 1 else 'threads'} of PyTorch"
        free, total = torch.cuda.mem_get_info(self._device)
        name = torch.cuda.get_device_name(self._device)
        return f"{name} ({self._device}), {(total - free) / GIB:.1f} of {total / GIB:.1f} GiB taken"

    @property
    def captures(self) -> int:
        """How many graphs have been captured so far: all of them in `warm_up`."""
        return sum(graph.captures for graph in (self._reset, *self._steps.values()))

    def warm_up(self) -> None:
        """Run, and on a GPU capture, all that traffic will.

        Raises:
            ModelError: a captured graph does not give what the same step gives without it, or the language model's
                type is too narrow for these weights.
        """
        expected = [self._rehearse(window) for window in self._steps]
        if not all(bool(kept.isfinite().all()) for kept in expected):
            raise ModelError("the model's values leave the range of model.dtype with these weights: use float32")
        if self._captures:
            self._capture()
            for window, kept in zip(self._steps, expected, strict=True):
                if not agree(self._rehearse(window), kept):
                    raise ModelError(
                        f"the captured step of {window} places does not give what the step itself gives: "
                        "please report it with the versions of PyTorch, of the driver and of the GPU"
                    )
        self.reset(range(self.lanes))

    def reset(self, lanes: Sequence[int]) -> None:
        self._chosen_array[:] = False
        self._chosen_array[list(lanes)] = True
        with self._at_work():
            # This copy waits for itself, so that the next reset may write to its source.
            self._device_chosen.copy_(self._chosen)
            self._reset()
        self._heard[list(lanes)] = self._start_heard

    def step(self, pcm: Pcm, active: NDArray[np.bool_]) -> Said:
        self._inbox_array[:, :FRAME_SAMPLES] = pcm
        self._inbox_array[:, FRAME_SAMPLES] = active
        with self._at_work():
            self._device_inbox.copy_(self._inbox, non_blocking=True)
            self._steps[self._window(active)]()
            self._outbox.copy_(self._device_outbox, non_blocking=True)
            self._wait()
        self._heard[active] += 1
        return Said(tokens=self._outbox_array[:, 0].astype(np.int64), pauses=self._outbox_array[:, 1:])

    def fill_context(self, frames: int | None = None) -> None:
        """Leave every lane as if it had heard `frames` frames, by default all it can remember; for measurements."""
        frames = self.lm.context if frames is None else frames
        with self._at_work():
            self.lm.fill_context(frames)
        self._heard[:] = frames

    def full_step_s(self) -> float:
        """Seconds of a step in which every lane has a frame and has heard all it can remember; call `reset` after it.

        The best of a few, because what else runs on the machine only ever adds to them.
        """
        pcm = np.random.default_rng(1).normal(scale=PROOF_LEVEL, size=(self.lanes, FRAME_SAMPLES)).astype(np.float32)
        self.fill_context()
        taken = []
        for _ in range(TIMED_STEPS):
            began_at = time.perf_counter()
            self.step(pcm, np.ones(self.lanes, np.bool_))
            taken.append(time.perf_counter() - began_at)
        return min(taken)

    def kept(self) -> list[torch.Tensor]:
        """All tensors that live from step to step, which must stay where they are for graphs to find them."""
        return [self._device_inbox, self._device_outbox, self._device_chosen, *self.encoder.kept(), *self.lm.kept()]

    def close(self) -> None:
        self._steps.clear()
        self.encoder.close()
        del self.encoder, self.lm, self._reset
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def run_step(self, window: int) -> None:
        """What a GPU captures of a step: from the device's inbox to its outbox."""
        self.encoder.active.copy_(self._device_inbox[:, FRAME_SAMPLES] > 0.5)
        codes = self.encoder.encode(self._device_inbox[:, None, :FRAME_SAMPLES])
        self._device_outbox.copy_(self.lm.step(codes, self.encoder.active, window))

    def run_reset(self) -> None:
        """What a GPU captures of `reset`."""
        self.encoder.reset(self._device_chosen)
        self.lm.reset(self._device_chosen)

    def _hear_prefix(self) -> None:
        """Let the lanes hear the prefix, and every reset from now on lead to where that leaves them."""
        self.reset(range(self.lanes))
        silence = np.zeros((self.lanes, FRAME_SAMPLES), np.float32)
        for _ in range(self.prefix_frames):
            self.step(silence, np.ones(self.lanes, np.bool_))
        self._start_heard += self.prefix_frames
        with self._at_work():
            self.encoder.start_from_here()
            self.lm.start_from_here(self._start_heard)

    def _window(self, active: NDArray[np.bool_]) -> int:
        """The smallest window that holds what each lane where `active` [B] attends over in its next step."""
        longest = min(int(self._heard[active].max()) + 1, self.lm.context)
        return next(window for window in self.lm.windows if window >= longest)

    def _wait(self) -> None:
        """Until the device has done all it was told, asleep: a thread that spins takes a core from everybody else."""
        if self._done is not None:
            self._done.record(self._stream)
            self._done.synchronize()

    def _capture(self) -> None:
        """One graph a window, and one of the reset."""
        with self._at_work():
            pool = torch.cuda.graph_pool_handle()
            for graph in (self._reset, *self._steps.values()):
                graph.capture(pool, self._stream)

    def _rehearse(self, window: int) -> torch.Tensor:
        """What fresh lanes keep of different noise by the step of `window`, and what they say of it, as one row.

        As in traffic, some lanes have no frame and some are reset on the way. The tokens alone would prove little: to
        noise, most models say padding whatever they hear. The outbox holds NaN before each step, so that a graph that
        writes nothing is noticed.
        """
        self.reset(range(self.lanes))
        random = np.random.default_rng(window)
        said = torch.zeros(0)
        for number in range(PROOF_STEPS):
            self._inbox_array[:] = random.normal(scale=PROOF_LEVEL, size=self._inbox_array.shape)
            self._inbox_array[:, FRAME_SAMPLES] = (np.arange(self.lanes) + number) % PROOF_STEPS != 1
            with self._at_work():
                self._device_inbox.copy_(self._inbox, non_blocking=True)
                self._device_outbox.fill_(torch.nan)
                self._steps[window]()
                self._outbox.copy_(self._device_outbox, non_blocking=True)
                self._wait()
            said = torch.cat([said, self._outbox.sum(1)])
            if number == 0:
                self.reset(range(0, self.lanes, 2))
        with self._at_work():
            kept = self.lm.first_keys(PROOF_STEPS - 2).float().cpu().flatten()
            return torch.where(said.isnan().any(), torch.nan, kept)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Whatever touches the device runs in here, in whichever thread: current device and stream are the thread's."""
        with ExitStack() as stack:
            if self._stream is not None:
                stack.enter_context(torch.cuda.stream(self._stream))
            # Compiled kernels gain little inside graphs, nothing on a CPU, and would need a C compiler on the server.
            stack.enter_context(no_compile())
            stack.enter_context(torch.inference_mode())
            with _device_errors():
                yield


def agree(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two rehearsals gave the same, but for rounding."""
    close = torch.isclose(one, other, rtol=PROOF_TOLERANCE, atol=PROOF_TOLERANCE)
    return bool(close.float().mean() >= PROOF_SHARE)


@contextmanager
def _device_errors() -> Iterator[None]:
    """Turn failures of the device itself, after which the model cannot be used any more, into a `ModelError`."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise NoRoom("the GPU ran out of memory: lower model.lanes") from error
    except torch.AcceleratorError as error:
        raise ModelError(f"the GPU failed: {str(error).splitlines()[0]}") from error
    except RuntimeError as error:
        if "CUDA" not in str(error) and "memory" not in str(error):
            raise
        raise ModelError(f"the device failed: {str(error).splitlines()[0]}") from error
