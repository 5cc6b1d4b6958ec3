"""A checkpoint's weights on a device, loaded once for any number of lanes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from moshi.models import LMModel, MimiModel

from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.memory import GIB, Memory
from captions.models.kyutai.torch_backend.loading import load_encoder, load_lm
from captions.models.model import ModelError, NoRoom

__all__ = ["Weights"]


@dataclass(frozen=True, slots=True)
class Weights:
    """Mimi's encoder half in float32 and the language model in the configured type. Call `load` to get them."""

    name: str
    mimi: MimiModel
    lm: LMModel
    device: torch.device
    memory: Memory

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype, lanes: int = 1) -> Weights:
        """Load a checkpoint onto `device`, if there is room for it with `lanes` lanes.

        Float32 means float32: TF32, which cuDNN would take for Mimi's convolutions by default, is turned off in the
        whole process, because another rounding of Mimi gives other codes.

        Raises:
            ModelError: files that do not fit the checkpoint's config, weights that do not fit `dtype`, or no room.
        """
        memory = checkpoint.memory(dtype.itemsize)
        if device.type == "cuda":
            _refuse(checkpoint.name, lanes, memory.needed(lanes), device)
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        with torch.inference_mode():
            mimi, lm = load_encoder(checkpoint, device), load_lm(checkpoint, device, dtype)
            if dtype == torch.float16 and not all(bool(weight.isfinite().all()) for weight in lm.parameters()):
                raise ModelError(f"model.dtype: weights of {checkpoint.name} leave the range of float16; use float32")
        if device.type == "cuda":
            # What loads the weights runs on another stream than the steps.
            torch.cuda.synchronize(device)
        return cls(checkpoint.name, mimi, lm, device, memory)

    def check_room(self, lanes: int) -> None:
        """Refuse more lanes than fit beside the weights.

        Raises:
            ModelError: they do not fit on paper.
        """
        _refuse(self.name, lanes, self.memory.needed(lanes) - self.memory.weights, self.device)

    def most_lanes(self) -> int:
        """How many lanes fit on the GPU beside the weights, on paper."""
        free, _ = torch.cuda.mem_get_info(self.device)
        return self.memory.lanes_in(free + self.memory.weights)


def _refuse(name: str, lanes: int, needed: int, device: torch.device) -> None:
    free, _ = torch.cuda.mem_get_info(device)
    if needed > free:
        raise NoRoom(
            f"{name} with {lanes} lanes needs {needed / GIB:.1f} GiB of GPU memory and "
            f"{free / GIB:.1f} GiB are free: lower model.lanes"
        )
