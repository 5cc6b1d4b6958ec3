"""What a checkpoint needs in memory, worked out on paper from its configuration. Pure Python, all sizes in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from captions.types import FRAME_SAMPLES

__all__ = ["ALIGNED_PLACES", "GIB", "Memory", "memory_of", "places_for"]

ALIGNED_PLACES = 16
"""A GPU's kernels want rows whose length is a multiple of this, or else copy them; 750 places become 752."""

GIB = 1 << 30

MIMI_BYTES_PER_VALUE = 4
"""Mimi always runs in float32: its codes decide everything that follows."""

WORKSPACE_BYTES = 1 << 30
"""What CUDA and its libraries take beside weights and caches, however many the lanes."""

WIDEST_LAYERS = 4
"""Results of Mimi's widest convolution, its first, that are held at once: input, output, and what lies between."""


@dataclass(frozen=True, slots=True)
class Memory:
    """`weights`: both models, Mimi's encoder half only; `lm_lane`, `mimi_lane`: the caches that one lane keeps.

    `step_lane`: what a step's own values take for one lane. It is an estimate: no GPU has been asked.
    """

    weights: int
    lm_lane: int
    mimi_lane: int
    step_lane: int

    def total(self, lanes: int) -> int:
        """Weights and caches of `lanes` lanes."""
        return self.weights + lanes * (self.lm_lane + self.mimi_lane)

    def needed(self, lanes: int) -> int:
        """`total` and room to work in."""
        return self.total(lanes) + lanes * self.step_lane + WORKSPACE_BYTES

    def lanes_in(self, size: int) -> int:
        """The most lanes for which `needed` is within `size`; 0 if there is no room for any."""
        each = self.lm_lane + self.mimi_lane + self.step_lane
        return max(0, (size - self.weights - WORKSPACE_BYTES) // each)


def places_for(frames: int) -> int:
    """The places of a ring that holds `frames` frames."""
    return -(-frames // ALIGNED_PLACES) * ALIGNED_PLACES


def memory_of(lm: Mapping[str, Any], mimi: Mapping[str, Any], weights: int, bytes_per_value: int) -> Memory:
    """The memory of a checkpoint.

    Args:
        lm, mimi: the two configurations as moshi reads them.
        weights: bytes of both models once loaded.
        bytes_per_value: of the language model's dtype.
    """
    transformer, seanet = mimi["transformer"], mimi["seanet"]
    attention = 2 * transformer["num_layers"] * transformer["context"] * transformer["d_model"]
    return Memory(
        weights=weights,
        lm_lane=2 * lm["num_layers"] * places_for(lm["context"]) * lm["dim"] * bytes_per_value,
        mimi_lane=(attention + _convolution_values(seanet)) * MIMI_BYTES_PER_VALUE,
        step_lane=WIDEST_LAYERS * seanet["n_filters"] * FRAME_SAMPLES * MIMI_BYTES_PER_VALUE,
    )


def _convolution_values(seanet: Mapping[str, Any]) -> int:
    """What the encoder's convolutions remember of one lane: kernel minus stride values of each input channel."""
    channels = seanet["n_filters"]
    values: int = seanet["channels"] * (seanet["kernel_size"] - 1)
    for ratio in reversed(seanet["ratios"]):
        for layer in range(seanet["n_residual_layers"]):
            values += channels * (seanet["residual_kernel_size"] - 1) * seanet["dilation_base"] ** layer
        values += channels * ratio
        channels *= 2
    values += channels * (seanet["last_kernel_size"] - 1) + 2 * seanet["dimension"]
    return values
