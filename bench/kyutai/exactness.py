"""What the CPU engine says at a model's full shape: in float32 against moshi's own loop, and what rounding changes.

The weights are random, so this shows that the arithmetic is right and where rounding weighs most, not what it does to
what a trained model recognises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bench.kyutai.step import Figures, Moshis, line, noise
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.onnx_backend.loading import load_backend
from captions.models.kyutai.torch_backend.loading import load_lm
from captions.types import FRAME_SAMPLES

__all__ = ["SCHEMES", "exact_on_cpu", "rounded_linear", "rounding"]

STACK = 4
"""Layers that are rounded together."""

WHOLE_ROW = 1 << 30
SCHEMES: dict[str, tuple[int, int]] = {
    "int8, a scale for a row": (8, WHOLE_ROW),
    "int8, blocks of 256": (8, 256),
    "int4, blocks of 128": (4, 128),
    "int4, blocks of 32": (4, 32),
}
"""Bits of a weight, and how many share a scale. What is multiplied has 8 bits, and scales for as many."""


def exact_on_cpu(folder: Path, lanes: int, steps: int) -> Figures:
    """Codes, tokens and pauses of onnxruntime's float32 engine against those of moshi's batched loop.

    Both begin behind the checkpoint's prefix of silence, which moshi's loop hears. The language model is given moshi's
    codes: a code is the nearest of 2,048 points, and among random ones two are now and then as near as float32 can
    tell.
    """
    everyone = np.arange(lanes)
    checkpoint = Checkpoint.find(str(folder))
    moshis = Moshis(folder, lanes, "float32")
    for _ in range(checkpoint.prefix_frames):
        moshis.step(np.zeros((lanes, FRAME_SAMPLES), np.float32))
    expected = [(moshis.step(frames), moshis.codes, moshis.pauses) for frames in noise(steps, lanes)]
    del moshis
    backend = load_backend(checkpoint, lanes, "float32")
    backend.reset(range(lanes))
    codes = tokens = 0
    off = 0.0
    for frames, (said, their_codes, their_pauses) in zip(noise(steps, lanes), expected, strict=True):
        codes += int((backend.encoder.encode(frames, everyone) == their_codes).sum())
        token, pauses = backend.lm.step(their_codes, everyone)
        tokens += int((token[:lanes] == said).sum())
        off = max(off, float(np.abs(pauses[:lanes] - their_pauses).max()))
    figures: Figures = {
        "lanes": lanes,
        "codes": f"{codes}/{expected[0][1].size * steps}",
        "tokens": f"{tokens}/{lanes * steps}",
        "kinds": len({token for said, _, _ in expected for token in said}),
        "pauses_off": f"{off:.1e}",
    }
    print(line(f"1B shape float32 by onnxruntime B={lanes}", figures), flush=True)
    return figures


def rounding(folder: Path, places: int) -> Iterator[Figures]:
    """For each scheme and each stack of layers rounded by it: how far logits are off, and how often the token stays.

    One pass over `places` random codes and tokens, so that an error does not lead to other input.
    """
    checkpoint = Checkpoint.find(str(folder))
    lm = load_lm(checkpoint, torch.device("cpu"), torch.float32)
    random = torch.Generator().manual_seed(1)
    codes = torch.randint(checkpoint.config["card"], (1, lm.num_codebooks, places), generator=random)
    codes[:, 0] = torch.randint(checkpoint.config["text_card"], (1, places), generator=random)
    layers = list(lm.transformer.layers)
    stacks = {
        f"layers {first + 1} to {first + STACK}": layers[first : first + STACK]
        for first in range(0, len(layers), STACK)
    }
    stacks |= {"the last product": [lm.text_linear], "all": [*layers, lm.text_linear]}
    with torch.no_grad():
        full = lm.forward_text(codes)[1][0, 0]
        for scheme, (bits, block) in SCHEMES.items():
            for stack, modules in stacks.items():
                rounded = {id(weight) for module in modules for weight in module.parameters()}
                with _Rounding(rounded, bits, block):
                    logits = lm.forward_text(codes)[1][0, 0]
                figures: Figures = {
                    "logits_off": float((logits - full).abs().mean()),
                    "of_logits": float((logits - full).abs().mean() / full.abs().mean()),
                    "same_token": float((logits.argmax(-1) == full.argmax(-1)).float().mean()),
                }
                print(line(f"{scheme}; {stack}:", figures, 4), flush=True)
                yield {"scheme": scheme, "stack": stack} | figures


class _Rounding(TorchFunctionMode):  # type: ignore[misc]
    """Within it, products with weights whose `id` is in `rounded` are those of rounded values."""

    def __init__(self, rounded: set[int], bits: int, block: int) -> None:
        super().__init__()
        self._rounded, self._bits, self._block = rounded, bits, block

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.nn.functional.linear and id(args[1]) in self._rounded:
            return rounded_linear(args[0], args[1], self._bits, self._block)
        return func(*args, **(kwargs or {}))


def rounded_linear(rows: Tensor, weight: Tensor, bits: int, block: int) -> Tensor:
    """`rows` [..., K] times a weight [N, K], the one of 8 bits, the other of `bits`, with a scale for every `block`."""
    return torch.nn.functional.linear(_rounded(rows, 8, block), _rounded(weight, bits, block))


def _rounded(values: Tensor, bits: int, block: int) -> Tensor:
    """As the engine's products round: the farthest value of a block of 4 bits becomes -8, of 8 bits 127."""
    size = values.shape[-1]
    block = min(block, size)
    blocks = torch.nn.functional.pad(values, (0, -size % block)).unflatten(-1, (-1, block))
    lowest, highest = blocks.amin(-1, keepdim=True), blocks.amax(-1, keepdim=True)
    farthest = torch.where(-lowest > highest, lowest, highest)
    scale = farthest / (127 if bits == 8 else -8)
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    limits = (-127, 127) if bits == 8 else (-8, 7)
    steps = (blocks / scale).round_().clamp_(*limits)
    return steps.mul_(scale).flatten(-2)[..., :size]
