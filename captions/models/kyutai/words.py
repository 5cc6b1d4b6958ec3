"""From a lane's text tokens to words with their times, one token a step. Pure Python.

The text stream (Kyutai's delayed streams): END_OF_PADDING stands just before a word's first piece and again at its
end, PADDING fills the rest. One END_OF_PADDING may serve as the end of one word and the start of the next, and words
said in a hurry may follow each other without any. Read off `asr.rs` of Kyutai's Rust server:

- The token of step n (the priming step is step 1) speaks of the time n - delay, in frames. It says nothing while n is
  below the delay.
- A word is complete at the next PADDING or END_OF_PADDING. Kyutai's server joins words that follow each other without
  either; here a word is also complete where a piece starts the next one.
- A word starts at the last END_OF_PADDING before it, and ends at the next one.
- A word has no boundary of its own if the word before it started at the same END_OF_PADDING, or if that is a second ago
  or more. It then starts one step before its first piece, where the boundary would have stood.

Times are lane time in samples. What a lane was fed in the reset itself is before time 0, and nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from captions.models.model import LaneEvent, LaneWord, LaneWordEnd
from captions.types import FRAME_SAMPLES, frames_in

__all__ = ["END_OF_PADDING", "PADDING", "SPACE", "Tokenizer", "WordReader"]

END_OF_PADDING = 0
PADDING = 3

SPACE = "\u2581"
"""How sentencepiece writes the space in front of a piece that starts a word."""

STALE_FRAMES = frames_in(1.0)
"""A word that comes this long after a boundary did not start there: the model has left out the word's own boundary."""


class Tokenizer(Protocol):
    """What is needed of a sentencepiece processor."""

    def decode(self, ids: list[int], /) -> str: ...

    def id_to_piece(self, piece: int, /) -> str: ...


class WordReader:
    """The words of one lane. Call `push` for each step's token, `close` at the end of a flush, `reset` with the lane.

    `delay_frames`: how far text runs behind audio. `padding`, `end_of_padding`: the checkpoint's ids of the two.
    `prefix_frames`: silence that a reset lane has heard already; its tokens are not pushed.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        delay_frames: int,
        padding: int = PADDING,
        end_of_padding: int = END_OF_PADDING,
        prefix_frames: int = 0,
    ) -> None:
        self._tokenizer = tokenizer
        self._delay_frames = delay_frames
        self._padding = padding
        self._end_of_padding = end_of_padding
        self._prefix_frames = prefix_frames
        self.reset()

    def reset(self) -> None:
        """The lane starts anew; its priming step and its prefix count as done."""
        self._steps = 1 + self._prefix_frames
        self._pieces: list[int] = []
        self._first_piece_step = 0
        self._boundary: int | None = None
        self._open_start: int | None = None

    def push(self, token: int) -> list[LaneEvent]:
        """The token of the next step. Returns what became certain with it, in order."""
        self._steps += 1
        if self._steps < self._delay_frames:
            return []
        if token == self._end_of_padding:
            events = self.close()
            self._boundary = self._now
            return events
        if token == self._padding:
            return self._finish_word(None)
        events = self._finish_word(None) if self._starts_word(token) else []
        if not self._pieces:
            self._first_piece_step = self._steps
        self._pieces.append(token)
        return events

    def close(self) -> list[LaneEvent]:
        """End at the time of this step whatever has no end yet: the word under way, or the word given last."""
        events = self._finish_word(self._now)
        if self._open_start is not None:
            events.append(LaneWordEnd(max(self._now, self._open_start)))
            self._open_start = None
        return events

    @property
    def _now(self) -> int:
        return self._time(self._steps)

    def _time(self, step: int) -> int:
        return max(0, step - self._delay_frames - self._prefix_frames) * FRAME_SAMPLES

    def _starts_word(self, token: int) -> bool:
        """Whether the pieces so far are a word of their own and `token` begins another."""
        return self._tokenizer.id_to_piece(token).startswith(SPACE) and bool(self._text(self._pieces))

    def _text(self, pieces: Sequence[int]) -> str:
        return self._tokenizer.decode(list(pieces)).strip() if pieces else ""

    def _finish_word(self, end: int | None) -> list[LaneEvent]:
        """The word that the pieces make, if they make one. It also ends the word before it, if that has no end yet."""
        text = self._text(self._pieces)
        self._pieces.clear()
        if not text:
            return []
        start = self._time(self._first_piece_step - 1)
        if self._boundary is not None and start - self._boundary < STALE_FRAMES * FRAME_SAMPLES:
            start = self._boundary
        self._boundary = None
        events: list[LaneEvent] = []
        if self._open_start is not None:
            events.append(LaneWordEnd(max(start, self._open_start)))
        self._open_start = start if end is None else None
        events.append(LaneWord(text, start, None if end is None else max(start, end)))
        return events
