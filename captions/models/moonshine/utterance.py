"""What a lane has heard lately: its audio, how loud it is, and where its words lie in it.

The reader hears a whole utterance at a time, and hears better with what was said before. So an utterance goes on
through pauses, as a window over the lane's audio. When it is long its oldest part is let go: at a *rest*, a place
where all words heard until then were committed, or at the quietest place between words that are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from captions.models.model import LaneWord
from captions.models.moonshine.commitment import Commitment
from captions.models.moonshine.words import HeardWord
from captions.types import FRAME_S, FRAME_SAMPLES, Pcm, frames_in

__all__ = ["Utterance"]

MOST_FRAMES = frames_in(9.0)
LONG_FRAMES = frames_in(8.5)
KEPT_FRAMES = frames_in(2.0)
CUT_CLEAR_FRAMES = frames_in(0.24)
VOICED_SHARE_OF_PEAK = 0.08
VOICED_RMS = 0.003


class Utterance:
    """`append` each frame, and `shorten` before the next one.

    `start`: lane time of the first sample. `commitment`: its words; those that `shorten` lets go are forgotten there.
    `silent`: how many frames have passed since the last voiced one.
    """

    def __init__(self, start: int) -> None:
        self.start = start
        self.frames = 0
        self.silent = 0
        self.commitment = Commitment()
        self._pcm = np.empty(MOST_FRAMES * FRAME_SAMPLES, np.float32)
        self._rms = np.zeros(MOST_FRAMES, np.float32)
        self._rests: list[tuple[int, int]] = []
        self._ends: list[int] = []
        self._last_end = start

    @property
    def is_full(self) -> bool:
        return self.frames == MOST_FRAMES

    @property
    def audio(self) -> Pcm:
        return self._pcm[: self.frames * FRAME_SAMPLES]

    @property
    def voiced_s(self) -> float:
        """For how long somebody has spoken in it."""
        return float(np.count_nonzero(self._voiced()) * FRAME_S)

    def append(self, frame: Pcm) -> bool:
        """One more frame; whether it is voiced."""
        at = self.frames * FRAME_SAMPLES
        self._pcm[at : at + FRAME_SAMPLES] = frame
        self._rms[self.frames] = np.sqrt(np.dot(frame, frame) / FRAME_SAMPLES)
        self.frames += 1
        is_voiced = bool(self._voiced()[-1])
        self.silent = 0 if is_voiced else self.silent + 1
        return is_voiced

    def rest(self) -> None:
        """Nobody speaks now, and all words are committed: the audio until here may be let go without the rest."""
        self._rests.append((self.frames, self.commitment.words))

    def shorten(self) -> None:
        """Let the oldest part go if it is long: before the latest rest that leaves enough to hear the next words by.

        If it is full and has no such rest, it is cut between committed words. It stays full if none are far enough
        from its beginning.
        """
        far = [rest for rest in self._rests if 0 < rest[0] <= self.frames - KEPT_FRAMES]
        if far and self.frames >= LONG_FRAMES:
            self._let_go(*far[-1])
        elif self.is_full:
            until = min(self.frames, (self._last_end - self.start) // FRAME_SAMPLES) - CUT_CLEAR_FRAMES
            if until > KEPT_FRAMES:
                cut = KEPT_FRAMES + int(np.argmin(self._rms[KEPT_FRAMES:until]))
                self._let_go(cut, sum(end <= self.start + cut * FRAME_SAMPLES for end in self._ends))

    def begin_anew(self) -> None:
        """Let go all words, and the audio before the latest rest: the reader can make nothing of what follows them."""
        self._let_go(self._rests[-1][0] if self._rests else 0, self.commitment.words)
        self._rests.clear()

    def commit(self, words: Sequence[HeardWord], behind: Sequence[HeardWord]) -> list[LaneWord]:
        """Times for `words`, which follow those committed before and are followed by `behind` up to the last sound."""
        laid = self.lay_out((*words, *behind))[: len(words)]
        if laid:
            self._last_end = laid[-1].end or self._last_end
        self._ends += [word.end or self._last_end for word in laid]
        return laid

    def lay_out(self, words: Sequence[HeardWord]) -> list[LaneWord]:
        """Lay all words behind the committed ones over the voiced time since, by their letters."""
        voiced = np.flatnonzero(self._voiced())
        voiced = voiced[(voiced + 1) * FRAME_SAMPLES + self.start > self._last_end]
        ends = np.cumsum([len(word.text) + 1 for word in words])
        laid: list[LaneWord] = []
        at = max(self._last_end, self._position(voiced, 0.0))
        for word, letters in zip(words, ends, strict=True):
            start, at = at, max(at, self._position(voiced, letters / ends[-1]))
            laid.append(LaneWord(word.text, start, at))
        return laid

    def _let_go(self, frames: int, words: int) -> None:
        kept = self.audio[frames * FRAME_SAMPLES :].copy()
        self._pcm[: len(kept)] = kept
        self._rms[: self.frames - frames] = self._rms[frames : self.frames].copy()
        self.start += frames * FRAME_SAMPLES
        self.frames -= frames
        self.commitment.forget(words)
        del self._ends[:words]
        self._rests = [(at - frames, count - words) for at, count in self._rests if at > frames]

    def _position(self, voiced: NDArray[np.intp], share: float) -> int:
        """Lane time at which `share` of the given voiced frames has gone by."""
        if len(voiced) == 0:
            return self.start + self.frames * FRAME_SAMPLES
        whole, part = divmod(share * len(voiced), 1.0)
        at = min(int(whole), len(voiced) - 1)
        inside = 1.0 if int(whole) == len(voiced) else part
        return self.start + int((voiced[at] + inside) * FRAME_SAMPLES)

    def _voiced(self) -> NDArray[np.bool_]:
        rms = self._rms[: self.frames]
        return rms > max(VOICED_RMS, VOICED_SHARE_OF_PEAK * float(rms.max(initial=0.0)))
