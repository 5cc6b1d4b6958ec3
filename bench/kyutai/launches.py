"""What a function asks of a device, counted by operation, and refused where a CUDA graph could not hold it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Launches", "NotCapturable", "launches_of"]

SYNCHRONISES = {
    "aten._local_scalar_dense",
    "aten.nonzero",
    "aten.masked_select",
    "aten._unique2",
    "aten.unique_consecutive",
    "aten.repeat_interleave.Tensor",
}
"""Operations that wait for a value, or whose result has a shape that depends on values."""


class NotCapturable(RuntimeError):
    """The function does what a graph cannot hold; the message names the operation."""


class Launches(TorchDispatchMode):  # type: ignore[misc]
    """Use it as a context around the function. `counts`: its operations that a GPU would launch, by name.

    Views move no data, and so are not counted. An operation may be more than one kernel: the counts are a lower bound.

    Raises:
        NotCapturable: an operation reads a value back, has a shape that depends on values, or indexes by a mask.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = f"{func.namespace}.{func._opname}"
        if name in SYNCHRONISES or f"{name}.{func._overloadname}" in SYNCHRONISES:
            raise NotCapturable(f"{name} waits for the device")
        if name.startswith("aten.index") and _has_mask(args[1:]):
            raise NotCapturable(f"{name} by a mask has a shape that depends on its values")
        if not func.is_view:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


def _has_mask(arguments: tuple[Any, ...]) -> bool:
    indices = [index for given in arguments if isinstance(given, list | tuple) for index in given]
    return any(isinstance(index, torch.Tensor) and index.dtype == torch.bool for index in indices)


def launches_of(function: Callable[[], object]) -> Counter[str]:
    """What `function` asks of the device, by operation."""
    with Launches() as launches:
        function()
    counts: Counter[str] = launches.counts
    return counts
