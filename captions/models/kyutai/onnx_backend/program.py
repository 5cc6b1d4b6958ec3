"""A graph ready to run on the CPU: onnxruntime's session, which reads and writes arrays of ours where they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
from numpy.typing import NDArray

__all__ = ["Program"]

ERRORS_ONLY = 3
CPU = ("cpu", 0)


class Program:
    """`model` over the weights in `folder`, on `threads` threads. Call `bind` for every input and output, then `run`.

    A binding holds until the next one of the same name: to change what an input holds, write to its array.
    """

    def __init__(self, model: bytes, folder: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = ERRORS_ONLY
        # Threads that spin after a run, waiting for more, would take the cores from the other model's.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._binding = self._session.io_binding()
        self._outputs = {output.name for output in self._session.get_outputs()}
        self._bound: dict[str, tuple[int, tuple[int, ...]]] = {}
        self._arrays: dict[str, NDArray[Any]] = {}

    def bind(self, name: str, array: NDArray[Any]) -> None:
        """Read input `name` from `array`, or write output `name` to it. It must be contiguous."""
        place = array.ctypes.data, array.shape
        if self._bound.get(name) == place:
            return
        bind = self._binding.bind_output if name in self._outputs else self._binding.bind_input
        bind(name, *CPU, array.dtype.type, array.shape, array.ctypes.data)
        self._bound[name], self._arrays[name] = place, array

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)

    @property
    def outputs(self) -> set[str]:
        return self._outputs
