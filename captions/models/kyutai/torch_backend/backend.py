"""Kyutai's model run by PyTorch: Mimi's encoder as moshi has it, and one step of the language model of our own.

One copy goes to the device for each step, and one comes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from moshi.utils.compile import no_compile
from numpy.typing import NDArray

from captions.models.kyutai.backend import Said
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.torch_backend.lm_step import LmStep
from captions.models.kyutai.torch_backend.loading import load_encoder, load_lm
from captions.models.model import ModelError
from captions.types import FRAME_SAMPLES, Pcm

__all__ = ["TorchBackend"]

WARM_UP_STEPS = 4
"""CUDA graphs are captured on a function's second call; the two after that are proof."""

GIB = 1 << 30


class TorchBackend:
    """See `Backend` for the contract. `mimi` and `lm` are its two parts, for tests and measurements.

    `device`, `dtype`: where everything runs, and the language model's type. All memory for the lanes is taken now.
    `fixed_shapes`: see `LmStep`.

    Raises:
        ModelError: files that do not fit the checkpoint's config, or not enough memory.
    """

    def __init__(
        self, checkpoint: Checkpoint, lanes: int, device: torch.device, dtype: torch.dtype, fixed_shapes: bool = False
    ) -> None:
        if device.type == "cuda":
            _check_memory(checkpoint, lanes, device, dtype)
        self.lanes = lanes
        self.silence_is_free = device.type == "cuda"
        self._device = device
        with _device_errors(), torch.inference_mode(), no_compile():
            self.mimi = load_encoder(checkpoint, device)
            self.lm = LmStep(load_lm(checkpoint, device, dtype), lanes, fixed_shapes)
            self.mimi.streaming_forever(lanes)
        # The frames and, behind each, whether the lane is active: one buffer, so one copy to the device.
        pinned = device.type == "cuda"
        self._inbox = torch.zeros(lanes, FRAME_SAMPLES + 1, pin_memory=pinned)
        self._inbox_array = self._inbox.numpy()
        self._device_inbox = self._inbox.to(device) if pinned else self._inbox
        self._outbox = torch.zeros(lanes, 1 + checkpoint.pause_heads, pin_memory=pinned)
        self._outbox_array = self._outbox.numpy()
        self._mimi_mask = np.zeros(lanes, np.bool_)

    def warm_up(self) -> None:
        self.reset(range(self.lanes))
        silence, everyone = np.zeros((self.lanes, FRAME_SAMPLES), np.float32), np.ones(self.lanes, np.bool_)
        for _ in range(WARM_UP_STEPS):
            self.step(silence, everyone)

    def reset(self, lanes: Sequence[int]) -> None:
        chosen = torch.zeros(self.lanes, dtype=torch.bool)
        chosen[list(lanes)] = True
        with _device_errors(), torch.inference_mode():
            self.mimi.reset_streaming(chosen.to(self._device))
            self.lm.reset(list(lanes))
        self._mimi_mask[list(lanes)] = True  # moshi turns the mask of a reset row on

    def step(self, pcm: Pcm, active: NDArray[np.bool_]) -> Said:
        self._inbox_array[:, :FRAME_SAMPLES] = pcm
        self._inbox_array[:, FRAME_SAMPLES] = active
        # Compiled kernels gain little inside CUDA graphs, nothing on a CPU, and would need a C compiler on the server.
        with _device_errors(), no_compile(), torch.inference_mode():
            if self._device_inbox is not self._inbox:
                self._device_inbox.copy_(self._inbox, non_blocking=True)
            stepped = self._device_inbox[:, FRAME_SAMPLES] > 0.5
            if not np.array_equal(self._mimi_mask, active):
                self.mimi.set_exec_mask(stepped)
                self._mimi_mask[:] = active
            codes = self.mimi.encode(self._device_inbox[:, None, :FRAME_SAMPLES])
            self._outbox.copy_(self.lm.step(codes[:, :, 0], stepped, active))
        return Said(tokens=self._outbox_array[:, 0].astype(np.int64), pauses=self._outbox_array[:, 1:])

    def close(self) -> None:
        del self.mimi, self.lm
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


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
