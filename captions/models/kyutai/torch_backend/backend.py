"""Kyutai's model run by PyTorch: Mimi's encoder and one step of the language model, over moshi's weights.

One copy goes to the device for each step, and one comes back. Between them a GPU runs one captured graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import numpy as np
import torch
from moshi.utils.compile import no_compile
from numpy.typing import NDArray

from captions.models.kyutai.backend import Said
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.torch_backend.encoder import Encoder
from captions.models.kyutai.torch_backend.graph import Graph
from captions.models.kyutai.torch_backend.lm_step import LmStep
from captions.models.kyutai.torch_backend.loading import load_encoder, load_lm
from captions.models.model import ModelError
from captions.types import FRAME_SAMPLES, Pcm

__all__ = ["TorchBackend", "agree"]

PROOF_STEPS = 3
"""Steps of each graph, on different noise, that must give what the same steps give without a graph."""

PROOF_TOLERANCE = 0.05
PROOF_SHARE = 0.9
"""So much of what the two give must agree within the tolerance: kernels may round otherwise, and a choice may then fall
the other way. A graph that is empty, or does not see its input, agrees by chance in a few percent.
"""

PROOF_LEVEL = 0.1
GIB = 1 << 30


class TorchBackend:
    """See `Backend` for the contract. `encoder` and `lm` are its two parts, for tests and measurements.

    `device`, `dtype`: where everything runs, and the language model's type. All memory for the lanes is taken now.
    `fixed_shapes`: run every lane in every step, as a GPU does, whose graphs have fixed shapes. `graphs`: capture them
    in `warm_up`; without, a GPU launches each kernel, which is slower and only good for comparison.

    Float32 means float32: TF32, which cuDNN would take for Mimi's convolutions by default, is turned off in the whole
    process, because another rounding of Mimi gives other codes.

    Raises:
        ModelError: files that do not fit the checkpoint's config, or not enough memory.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        lanes: int,
        device: torch.device,
        dtype: torch.dtype,
        fixed_shapes: bool = False,
        graphs: bool = True,
    ) -> None:
        on_gpu = device.type == "cuda"
        if on_gpu:
            _check_memory(checkpoint, lanes, device, dtype)
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        self.lanes = lanes
        self.silence_is_free = on_gpu
        self._device = device
        self._captures = on_gpu and graphs
        with self._at_work():
            self.encoder = Encoder(load_encoder(checkpoint, device), lanes)
            self.lm = LmStep(load_lm(checkpoint, device, dtype), lanes)
            # The frames and, behind each, whether the lane is active: one buffer, so one copy to the device.
            self._inbox = torch.zeros(lanes, FRAME_SAMPLES + 1, pin_memory=on_gpu)
            self._outbox = torch.zeros(lanes, 1 + checkpoint.pause_heads, pin_memory=on_gpu)
            self._chosen = torch.zeros(lanes, dtype=torch.bool)
            # Where a graph reads and writes; on a CPU the same tensors.
            self._device_inbox, self._device_outbox = self._inbox.to(device), self._outbox.to(device)
            self._device_chosen = self._chosen.to(device)
        self._inbox_array, self._outbox_array = self._inbox.numpy(), self._outbox.numpy()
        self._chosen_array = self._chosen.numpy()
        self._reset = Graph(self._run_reset)
        windows = self.lm.windows if fixed_shapes or on_gpu else ()
        self._steps = {window: Graph(partial(self._run_step, window)) for window in windows}

    def warm_up(self) -> None:
        """Run, and on a GPU capture, all that traffic will.

        Raises:
            ModelError: a captured graph does not give what the same step gives without it.
        """
        everyone = range(self.lanes)
        self.reset(everyone)
        if not self._steps:
            self.step(np.zeros((self.lanes, FRAME_SAMPLES), np.float32), np.ones(self.lanes, np.bool_))
            return
        expected = [self._rehearse(window) for window in self._steps]
        if self._captures:
            with self._at_work():
                pool = torch.cuda.graph_pool_handle()
                for graph in (self._reset, *self._steps.values()):
                    graph.capture(pool)
            for window, keys in zip(self._steps, expected, strict=True):
                if not agree(self._rehearse(window), keys):
                    raise ModelError(
                        f"the captured step of {window} places does not give what the step itself gives: "
                        "please report it with the versions of PyTorch, of the driver and of the GPU"
                    )
        self.reset(everyone)

    def reset(self, lanes: Sequence[int]) -> None:
        self._chosen_array[:] = False
        self._chosen_array[list(lanes)] = True
        with self._at_work():
            self._device_chosen.copy_(self._chosen)
            self._reset()
        self.lm.count_reset(lanes)

    def step(self, pcm: Pcm, active: NDArray[np.bool_]) -> Said:
        self._inbox_array[:, :FRAME_SAMPLES] = pcm
        self._inbox_array[:, FRAME_SAMPLES] = active
        with self._at_work():
            self._device_inbox.copy_(self._inbox, non_blocking=True)
            if self._steps:
                self._steps[self.lm.window(active)]()
                self.lm.count_step(active)
            else:
                self._device_outbox.copy_(self.lm.step(self._run_encoder(), active))
            self._outbox.copy_(self._device_outbox)
        return Said(tokens=self._outbox_array[:, 0].astype(np.int64), pauses=self._outbox_array[:, 1:])

    def kept(self) -> list[torch.Tensor]:
        """All tensors that live from step to step, which must stay where they are for graphs to find them."""
        return [self._device_inbox, self._device_outbox, self._device_chosen, *self.encoder.kept(), *self.lm.kept()]

    def close(self) -> None:
        self._steps.clear()
        del self.encoder, self.lm, self._reset
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _run_encoder(self) -> torch.Tensor:
        """Codes [B, K] of the frames in the device's inbox."""
        self.encoder.active.copy_(self._device_inbox[:, FRAME_SAMPLES] > 0.5)
        return self.encoder.encode(self._device_inbox[:, None, :FRAME_SAMPLES])

    def _run_step(self, window: int) -> None:
        """What a GPU captures: from the device's inbox to its outbox."""
        self._device_outbox.copy_(self.lm.step_all(self._run_encoder(), self.encoder.active, window))

    def _run_reset(self) -> None:
        """What a GPU captures of `reset`."""
        self.encoder.reset(self._device_chosen)
        self.lm.reset(self._device_chosen)

    def _rehearse(self, window: int) -> torch.Tensor:
        """What fresh lanes keep of different noise by the step of `window`, and what they say of it, as one row.

        The tokens alone would prove little: to noise, most models say padding whatever they hear. The outbox holds NaN
        before each step, so that a graph that writes nothing is noticed.
        """
        self.reset(range(self.lanes))
        random = np.random.default_rng(window)
        said = torch.zeros(0)
        for _ in range(PROOF_STEPS):
            self._inbox_array[:] = random.normal(scale=PROOF_LEVEL, size=self._inbox_array.shape)
            self._inbox_array[:, FRAME_SAMPLES] = 1.0
            with self._at_work():
                self._device_inbox.copy_(self._inbox)
                self._device_outbox.fill_(torch.nan)
                self._steps[window]()
                self._outbox.copy_(self._device_outbox)
                said = torch.cat([said, self._outbox.sum(1)])
        with self._at_work():
            kept = self.lm.newest_keys(PROOF_STEPS).float().cpu().flatten()
            return torch.where(said.isnan().any(), torch.nan, kept)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Whatever touches the device runs in here, in whichever thread: the current device belongs to the thread."""
        with ExitStack() as stack:
            if self._device.type == "cuda":
                stack.enter_context(torch.cuda.device(self._device))
            # Compiled kernels gain little inside graphs, nothing on a CPU, and would need a C compiler on the server.
            stack.enter_context(no_compile())
            stack.enter_context(torch.inference_mode())
            with _device_errors():
                yield


def agree(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two rehearsals gave the same, but for rounding."""
    close = torch.isclose(one, other, rtol=PROOF_TOLERANCE, atol=PROOF_TOLERANCE)
    return bool(close.float().mean() >= PROOF_SHARE)


def _check_memory(checkpoint: Checkpoint, lanes: int, device: torch.device, dtype: torch.dtype) -> None:
    """Refuse what would not fit on paper, before minutes are spent on loading it."""
    free, _ = torch.cuda.mem_get_info(device)
    needed = checkpoint.memory(dtype.itemsize).needed(lanes)
    if needed > free:
        raise ModelError(
            f"{checkpoint.name} with {lanes} lanes needs {needed / GIB:.1f} GiB of GPU memory and "
            f"{free / GIB:.1f} GiB are free: lower model.lanes"
        )


@contextmanager
def _device_errors() -> Iterator[None]:
    """Turn failures of the device itself, after which the model cannot be used any more, into a `ModelError`."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelError("the GPU ran out of memory: lower model.lanes") from error
    except torch.AcceleratorError as error:
        raise ModelError(f"the GPU failed: {str(error).splitlines()[0]}") from error
    except RuntimeError as error:
        if "CUDA" not in str(error) and "memory" not in str(error):
            raise
        raise ModelError(f"the device failed: {str(error).splitlines()[0]}") from error
