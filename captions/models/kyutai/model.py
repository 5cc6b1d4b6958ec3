"""Kyutai's streaming speech-to-text as a `Model`: many tracks in one batch, on CUDA or the CPU.

A step is Mimi's encoder (moshi's own streaming module), one step of the language model (lm_step.py), and for each lane
the reading of its token and pause heads (words.py, pauses.py). One copy goes to the device and one comes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from moshi.utils.compile import no_compile

from captions.models.kyutai.checkpoint import Checkpoint, dtype_of
from captions.models.kyutai.torch_backend.lm_step import LmStep
from captions.models.kyutai.pauses import PauseReader
from captions.models.kyutai.words import WordReader
from captions.models.model import Batch, LaneEvent, LaneOutput, LanePause, LaneWord, ModelError, ModelInfo
from captions.types import FRAME_SAMPLES

__all__ = ["KyutaiModel"]

WARM_UP_STEPS = 4
"""CUDA graphs are captured on a function's second call; the two after that are proof."""

HANGOVER_S = 0.8
"""Digit strings through lanes (bench/digits.py): 8.8% of the words wrong with 0.4 s, 4.1% with 0.8 s, as a flush in the
middle of an utterance costs context; words are out after the model's delay anyway.
"""

GIB = 1 << 30


class KyutaiModel:
    """See `Model` for the contract. `load` makes one; the constructor takes what `load` has prepared."""

    def __init__(self, checkpoint: Checkpoint, lanes: int, device: torch.device, dtype: torch.dtype) -> None:
        self.info = ModelInfo(
            name=checkpoint.name,
            languages=checkpoint.languages,
            lanes=lanes,
            delay_frames=checkpoint.delay_frames,
            prefix_frames=checkpoint.prefix_frames,
            flush_frames=checkpoint.flush_frames,
            feeds_silence=device.type == "cuda",
            can_stall=True,
            hangover_s=HANGOVER_S,
            pause_heads=checkpoint.pause_heads,
        )
        self._device = device
        tokenizer = checkpoint.load_tokenizer()
        self._words = [
            WordReader(tokenizer, checkpoint.delay_frames, checkpoint.padding, checkpoint.end_of_padding)
            for _ in range(lanes)
        ]
        self._pauses = [PauseReader() for _ in range(lanes)]
        with _device_errors(), torch.inference_mode(), no_compile():
            self._mimi = checkpoint.load_mimi(device)
            self._lm = LmStep(checkpoint.load_lm(device, dtype), lanes)
            self._mimi.streaming_forever(lanes)
        # The frames and, behind each, whether the lane is active: one buffer, so one copy to the device.
        pinned = device.type == "cuda"
        self._inbox = torch.zeros(lanes, FRAME_SAMPLES + 1, pin_memory=pinned)
        self._inbox_array = self._inbox.numpy()
        self._device_inbox = self._inbox.to(device) if pinned else self._inbox
        self._outbox = torch.zeros(lanes, 1 + checkpoint.pause_heads, pin_memory=pinned)
        self._mimi_mask = np.zeros(lanes, np.bool_)
        self.tokens = np.zeros(lanes, np.int64)
        """The text token each lane gave in the last step it was active in, for tests."""

    @classmethod
    def load(cls, name_or_folder: str, lanes: int, device: str | None, dtype: str) -> KyutaiModel:
        """Load a checkpoint by its name on the model hub or from a folder of the same files.

        Args:
            lanes: the rows of the batch; all memory for them is taken now.
            device: "cuda", "cuda:1", "cpu" ...; None takes a GPU if there is one.
            dtype: of the language model, "bfloat16" or "float32".

        Raises:
            ModelError: no network, missing or wrong files, an unknown dtype or device, not enough memory.
        """
        kind = dtype_of(dtype)
        place = _device(device)
        checkpoint = Checkpoint.find(name_or_folder)
        if place.type == "cuda":
            free, _ = torch.cuda.mem_get_info(place)
            needed = checkpoint.memory(kind).needed(lanes)
            if needed > free:
                raise ModelError(
                    f"{checkpoint.name} with {lanes} lanes needs {needed / GIB:.1f} GiB of GPU memory and "
                    f"{free / GIB:.1f} GiB are free: lower model.lanes"
                )
        return cls(checkpoint, lanes, place, kind)

    def warm_up(self) -> None:
        batch = Batch.of(self.info.lanes, FRAME_SAMPLES)
        batch.active[:] = True
        self.reset(range(self.info.lanes))
        for _ in range(WARM_UP_STEPS):
            self.step(batch)
        self.reset(range(self.info.lanes))

    def reset(self, lanes: Sequence[int]) -> None:
        chosen = torch.zeros(self.info.lanes, dtype=torch.bool)
        chosen[list(lanes)] = True
        with _device_errors(), torch.inference_mode():
            self._mimi.reset_streaming(chosen.to(self._device))
            self._lm.reset(list(lanes))
        self._mimi_mask[list(lanes)] = True  # moshi turns the mask of a reset row on
        for lane in lanes:
            self._words[lane].reset()
            self._pauses[lane].end_spurt()

    def step(self, batch: Batch) -> list[LaneOutput]:
        if not batch.active.any():
            return []
        self._inbox_array[:, :FRAME_SAMPLES] = batch.pcm
        self._inbox_array[:, FRAME_SAMPLES] = batch.active
        # Compiled kernels gain little inside CUDA graphs, nothing on a CPU, and would need a C compiler on the server.
        with _device_errors(), no_compile(), torch.inference_mode():
            if self._device_inbox is not self._inbox:
                self._device_inbox.copy_(self._inbox, non_blocking=True)
            active = self._device_inbox[:, FRAME_SAMPLES] > 0.5
            if not np.array_equal(self._mimi_mask, batch.active):
                self._mimi.set_exec_mask(active)
                self._mimi_mask[:] = batch.active
            codes = self._mimi.encode(self._device_inbox[:, None, :FRAME_SAMPLES])
            self._outbox.copy_(self._lm.step(codes[:, :, 0], active, batch.active))
        said = self._outbox.numpy()
        outputs = []
        for lane in np.flatnonzero(batch.active).tolist():
            token, *probabilities = said[lane].tolist()
            self.tokens[lane] = token
            events = self._read(lane, int(token), tuple(probabilities), bool(batch.closing[lane]))
            if events:
                outputs.append(LaneOutput(lane, tuple(events)))
        return outputs

    def close(self) -> None:
        del self._mimi, self._lm
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _read(self, lane: int, token: int, probabilities: tuple[float, ...], closing: bool) -> list[LaneEvent]:
        """What a lane's step means: its words and word ends, then its pause heads if the checkpoint has any."""
        events = self._words[lane].push(token)
        if closing:
            events += self._words[lane].close()
        if probabilities:
            word = any(isinstance(event, LaneWord) for event in events)
            events.append(LanePause(probabilities, self._pauses[lane].push(probabilities, word)))
        if closing:
            self._pauses[lane].end_spurt()
        return events


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError:
        raise ModelError(f"model.device: {name!r} is not a device; use cpu, cuda or cuda:0") from None
    if device.type not in {"cpu", "cuda"}:
        raise ModelError(f"model.device: {name!r} is not supported; use cpu, cuda or cuda:0")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"model.device: there is no NVIDIA GPU {device} that this PyTorch can use")
    return device


@contextmanager
def _device_errors() -> Iterator[None]:
    """Failures of the device itself, after which the model cannot be used any more."""
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
