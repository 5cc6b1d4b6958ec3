"""What a function asks of a device, counted by operation, and refused where a CUDA graph could not hold it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

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

    `device`: where every tensor that an operation takes or gives must be; None does not look.

    Raises:
        NotCapturable: an operation reads a value back, has a shape that depends on values, indexes by a mask, or
            touches a tensor that is not on `device`.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self._device = device

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
        result = func(*args, **(kwargs or {}))
        elsewhere = {str(tensor.device) for tensor in _tensors((args, kwargs or {}, result))} - {str(self._device)}
        if self._device is not None and elsewhere:
            raise NotCapturable(f"{name} touches {', '.join(sorted(elsewhere))} as well")
        return result


def _tensors(given: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(given) if isinstance(leaf, torch.Tensor)]


def _has_mask(arguments: tuple[Any, ...]) -> bool:
    indices = [index for given in arguments if isinstance(given, list | tuple) for index in given]
    return any(isinstance(index, torch.Tensor) and index.dtype == torch.bool for index in indices)


def launches_of(function: Callable[[], object], device: torch.device | None = None) -> Counter[str]:
    """What `function` asks of the device, by operation; see `Launches`."""
    with Launches(device) as launches:
        function()
    counts: Counter[str] = launches.counts
    return counts
