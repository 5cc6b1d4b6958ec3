"""Kyutai's streaming speech-to-text as a `Model`: many tracks in one batch, over any backend.

The backend turns frames into tokens and pause probabilities. Here each lane's are read: words.py, pauses.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from captions.models.kyutai.backend import Backend
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.pauses import PauseReader
from captions.models.kyutai.words import Tokenizer, WordReader
from captions.models.model import Batch, LaneEvent, LaneOutput, LanePause, LaneWord, ModelInfo

__all__ = ["KyutaiModel"]

HANGOVER_S = 0.8
"""Silence that ends a spurt. A flush in the middle of an utterance costs context, and words come out after the model's
delay without one. Digit strings through lanes had 8.8% of their words wrong with 0.4 s, and 4.1% with 0.8 s.
"""


class KyutaiModel:
    """See `Model` for the contract. `captions.models.load` makes one; the model closes its backend.

    `measured`: what is known of the steps of other numbers of lanes; warming up adds its own.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        tokenizer: Tokenizer,
        backend: Backend,
        measured: tuple[tuple[int, float], ...] = (),
    ) -> None:
        self.info = ModelInfo(
            name=checkpoint.name,
            languages=checkpoint.languages,
            lanes=backend.lanes,
            delay_frames=checkpoint.delay_frames,
            flush_frames=checkpoint.flush_frames,
            feeds_silence=backend.silence_is_free,
            can_stall=True,
            hangover_s=HANGOVER_S,
            pause_heads=checkpoint.pause_heads,
            measured=measured,
        )
        self._backend = backend
        self._words = [
            WordReader(
                tokenizer, checkpoint.delay_frames, checkpoint.padding, checkpoint.end_of_padding, backend.prefix_frames
            )
            for _ in range(backend.lanes)
        ]
        self._pauses = [PauseReader() for _ in range(backend.lanes)]
        self.tokens = np.zeros(backend.lanes, np.int64)
        """The text token each lane gave in the last step it was active in, for tests."""

    def warm_up(self) -> None:
        self._backend.warm_up()
        measured = dict(self.info.measured) | {self.info.lanes: self._backend.full_step_s()}
        self.info = replace(self.info, device=self._backend.device, measured=tuple(sorted(measured.items())))
        self.reset(range(self.info.lanes))

    def reset(self, lanes: Sequence[int]) -> None:
        self._backend.reset(lanes)
        for lane in lanes:
            self._words[lane].reset()
            self._pauses[lane].end_spurt()

    def step(self, batch: Batch) -> list[LaneOutput]:
        if not batch.active.any():
            return []
        said = self._backend.step(batch.pcm, batch.active)
        outputs = []
        for lane in np.flatnonzero(batch.active).tolist():
            token = int(said.tokens[lane])
            self.tokens[lane] = token
            events = self._read(lane, token, tuple(said.pauses[lane].tolist()), bool(batch.closing[lane]))
            if events:
                outputs.append(LaneOutput(lane, tuple(events)))
        return outputs

    def close(self) -> None:
        self._backend.close()

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
