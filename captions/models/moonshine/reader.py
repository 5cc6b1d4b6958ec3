"""Reading speech with Moonshine tiny English, whose weights come inside the package `moonshine-voice` (MIT).

Jeffries and others, "Moonshine: Speech Recognition for Live Transcription and Voice Commands" (2024): an encoder of raw
audio at 16 kHz and a decoder of text tokens, both in ONNX Runtime's own format. They are run here and not by the
package's library, because a reading of speech that grows is mostly the reading before it: that one is checked in
one pass of the decoder, and only what is new is decoded token by token. And the decoder's doubts are of use.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from captions.models.model import ModelError
from captions.models.moonshine.words import HeardWord

__all__ = ["READER_RATE", "MoonshineReader"]

READER_RATE = 16_000
FEWEST_SAMPLES = 1_600
_BEGIN, _END = 1, 2
_LAYERS, _HEADS, _HEAD_SIZE = 6, 8, 36
_SPACE = "\u2581".encode()
_TOKENS_A_SECOND = 12
_PARTS = [f"{part}.{kind}" for part in ("decoder", "encoder") for kind in ("key", "value")]
_DECODER_KEYS = [f"{layer}.decoder.{kind}" for layer in range(_LAYERS) for kind in ("key", "value")]


class MoonshineReader:
    """Call `read` with all audio of an utterance so far. Runs on the calling thread only. `folder`: its files.

    Raises:
        ModelError: the package or its files are not there.
    """

    def __init__(self) -> None:
        spec = find_spec("moonshine_voice")
        if spec is None or spec.origin is None:
            raise ModelError("the CPU default needs the package moonshine-voice: pip install captions")
        folder = self.folder = Path(spec.origin).parent / "assets" / "tiny-en"
        try:
            self._encoder = _session(folder / "encoder_model.ort")
            self._decoder = _session(folder / "decoder_model_merged.ort")
            self._vocabulary = _vocabulary((folder / "tokenizer.bin").read_bytes())
        except (OSError, onnxruntime.capi.onnxruntime_pybind11_state.Fail) as error:
            raise ModelError(f"moonshine-voice could not load its model from {folder}: {error}") from error
        self._texts = [self._text([token]) for token in range(len(self._vocabulary))]
        sounds: dict[str, int] = {}
        self._sounds = np.array([sounds.setdefault(text.casefold(), token) for token, text in enumerate(self._texts)])
        self._is_mark = np.array([not any(map(str.isalnum, text)) for text in self._texts])
        self._is_mark[[_BEGIN, _END]] = False
        self._outputs = [output.name for output in self._decoder.get_outputs()]

    def read(
        self, pcm: NDArray[np.float32], committed: Sequence[int] = (), draft: Sequence[int] = ()
    ) -> tuple[HeardWord, ...]:
        """The words of `pcm`, mono at 16 kHz.

        Args:
            committed: tokens that the reading has to begin with.
            draft: tokens that are likely to follow them. The result is the same without; a good draft saves time.
        """
        tokens, margins = self._decode(self._encode(pcm), committed, draft, len(pcm) / READER_RATE)
        return self._words(tokens, margins)

    def _encode(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        heard = np.pad(pcm, (0, max(0, FEWEST_SAMPLES - len(pcm))))[None].astype(np.float32, copy=False)
        mask = np.ones(heard.shape, np.int64)
        states: NDArray[np.float32] = self._encoder.run(None, {"input_values": heard, "attention_mask": mask})[0]
        return states

    def _decode(
        self, states: NDArray[np.float32], committed: Sequence[int], draft: Sequence[int], length_s: float
    ) -> tuple[list[int], list[float]]:
        """The tokens behind the beginning, the last of them `_END` unless it was stopped, and the margin of each."""
        most = len(committed) + 8 + int(length_s * _TOKENS_A_SECOND)
        fixed = {"encoder_hidden_states": states, "encoder_attention_mask": np.ones(states.shape[:2], np.int64)}
        none = np.zeros((1, _HEADS, 0, _HEAD_SIZE), np.float32)
        past = {f"past_key_values.{layer}.{part}": none for layer in range(_LAYERS) for part in _PARTS}
        taken: list[int] = [*committed]
        margins = [float("inf")] * len(committed)
        fed = [_BEGIN, *committed, *draft]
        guessed = list(draft)
        cached = False
        while True:
            found = self._decoder.run(
                None, {"input_ids": np.array([fed], np.int64), "use_cache_branch": np.array([cached]), **fixed, **past}
            )
            presents = dict(zip(self._outputs, found, strict=True))
            logits = presents["logits"][0]
            for row in logits[len(fed) - 1 - len(guessed) :]:
                token, margin = self._best(row)
                taken.append(token)
                margins.append(margin)
                if token == _END or not guessed or guessed.pop(0) != token:
                    break
            if taken[-1] == _END or len(taken) >= most:
                return taken, margins
            for key in _DECODER_KEYS:
                past[f"past_key_values.{key}"] = presents[f"present.{key}"][:, :, : len(taken)]
            if not cached:
                for key in (key.replace("decoder", "encoder") for key in _DECODER_KEYS):
                    past[f"past_key_values.{key}"] = presents[f"present.{key}"]
            fed, guessed, cached = [taken[-1]], [], True

    def _best(self, logits: NDArray[np.float32]) -> tuple[int, float]:
        """The most likely token, and its margin before the best one that sounds otherwise. Spoils `logits`."""
        token = int(logits.argmax())
        best = float(logits[token])
        logits[(self._sounds == self._sounds[token]) | self._is_mark] = -np.inf
        return token, best - float(logits.max())

    def _words(self, tokens: Sequence[int], margins: Sequence[float]) -> tuple[HeardWord, ...]:
        words: list[tuple[list[int], float]] = []
        for token, margin in zip(tokens, margins, strict=True):
            if token == _END:
                continue
            if not words or self._vocabulary[token].startswith(_SPACE):
                words.append(([token], margin))
            else:
                whole, least = words[-1]
                words[-1] = ([*whole, token], least if self._is_mark[token] else min(least, margin))
        return tuple(self._word(tokens, margin) for tokens, margin in words)

    def _word(self, tokens: list[int], margin: float) -> HeardWord:
        marks = next((n for n, token in enumerate(reversed(tokens)) if not self._is_mark[token]), 0)
        text = self._text(tokens).replace("\u2581", " ").strip().replace(",,", ",")
        return HeardWord(text, tuple(tokens), marks, margin)

    def _text(self, tokens: Sequence[int]) -> str:
        """A token's beginning of a word is kept: it sounds otherwise than the same letters inside one."""
        return b"".join(self._vocabulary[token] for token in tokens).decode(errors="replace")


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _vocabulary(packed: bytes) -> list[bytes]:
    """The tokens in order. Each is packed behind its length: a byte, or two from 128 on, the lower seven bits first."""
    tokens: list[bytes] = []
    at = 0
    while at < len(packed):
        length = packed[at]
        at += 1
        if length >= 128:
            length += 128 * (packed[at] - 1)
            at += 1
        tokens.append(packed[at : at + length])
        at += length
    return tokens
