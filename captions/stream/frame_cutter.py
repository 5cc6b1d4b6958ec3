"""Decoded audio of one track, cut into frames of 80 ms."""

from __future__ import annotations

import numpy as np

from captions.types import FRAME_SAMPLES, Frame, Pcm

__all__ = ["FrameCutter"]


class FrameCutter:
    """`add` audio, never more than the frame under way `wants`; when it wants no more, `cut` it.

    Frames lie on a grid of whole frames, which a `jump` does not shift, so a track is cut the same whether its silence
    was decoded or passed over. Only `finish` shifts the grid. Their samples are within full scale, whatever was added:
    decoders and resamplers overshoot, and what a sender calls a sample may make a model's figures overflow.
    """

    def __init__(self) -> None:
        self._begin(0)

    @property
    def position(self) -> int:
        """The media position up to which there is audio (samples)."""
        return self._start + self._filled

    @property
    def wants(self) -> int:
        """The samples that the frame under way lacks."""
        return FRAME_SAMPLES - self._filled

    @property
    def audio_from(self) -> int:
        """Where the audio of the frame under way begins; `position`, if it has none yet."""
        return self._audio_from

    def add(self, pcm: Pcm) -> None:
        self._pcm[self._filled : self._filled + len(pcm)] = pcm
        self._filled += len(pcm)

    def cut(self, arrived_at: float) -> Frame:
        """The full frame, whose last audio came at `arrived_at`."""
        frame = Frame(self._start, _clipped(self._pcm), arrived_at)
        self._begin(frame.end)
        return frame

    def finish(self, now: float) -> Frame | None:
        """The frame under way, filled up with silence, if it has any audio. The next one begins where audio ended."""
        if not self._filled:
            return None
        self._pcm[self._filled :] = 0.0
        frame = Frame(self._start, _clipped(self._pcm), now)
        self._begin(self.position)
        return frame

    def jump(self, position: int) -> int:
        """Go on from another media position. What the frame under way held is lost. Returns where the new frame begins:
        up to `position` it is silent.
        """
        before = position % FRAME_SAMPLES
        self._begin(position - before)
        self._pcm[:before] = 0.0
        self._filled = before
        self._audio_from = position
        return self._start

    def _begin(self, start: int) -> None:
        self._start = self._audio_from = start
        self._pcm: Pcm = np.empty(FRAME_SAMPLES, np.float32)
        self._filled = 0


def _clipped(pcm: Pcm) -> Pcm:
    return np.clip(pcm, -1.0, 1.0, out=pcm)
