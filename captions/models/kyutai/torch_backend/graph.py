"""A function over tensors that stay where they are, replayed as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["Graph"]


class Graph:
    """Call it as the function itself, which takes nothing and returns nothing: all it reads and writes is in tensors.

    Until `capture` it runs the function. Afterwards it replays, in one launch, the kernels that the function launched;
    nothing is allocated, and no Python of the function runs. `captures` counts the calls of `capture`.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._graph: torch.cuda.CUDAGraph | None = None
        self.captures = 0

    def __call__(self) -> None:
        if self._graph is None:
            self._function()
        else:
            self._graph.replay()

    def capture(self, pool: tuple[int, int], stream: torch.cuda.Stream) -> None:
        """Capture on `stream` and its device, where the function must have run before: then nothing is first done now.

        PyTorch would by itself take one stream for the whole process, made on the device of the first capture: a
        capture for another device would be empty. `pool`: the memory that all graphs share. They may be replayed in any
        order, because nothing that one leaves in it is read by another; what they keep is outside.
        """
        graph = torch.cuda.CUDAGraph()
        # Other threads' calls are none of this capture's business: "global", the default, would fail on them.
        with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            self._function()
        self._graph = graph
        self.captures += 1
