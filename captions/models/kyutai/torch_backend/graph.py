"""A function over tensors that stay where they are, replayed as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["Graph"]


class Graph:
    """Call it as the function itself, which takes nothing and returns nothing: all it reads and writes is in tensors.

    Until `capture` it runs the function. Afterwards it replays, in one launch, the kernels that the function launched;
    nothing is allocated, and no Python of the function runs.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        if self._graph is None:
            self._function()
        else:
            self._graph.replay()

    def capture(self, pool: tuple[int, int]) -> None:
        """Capture on the current device. The function must have run there before, so that nothing is first done now.

        `pool`: the memory that all graphs share, since only one of them runs at a time.
        """
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            self._function()
        self._graph = graph
