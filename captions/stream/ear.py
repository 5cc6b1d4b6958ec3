"""One track on its way from packets to frames: decodes, keeps the media clock, cuts 80 ms frames and VAD chunks.

Sans-I/O and without a detector: `advance` gives at most one frame and leaves the VAD chunks that have become full to
whoever runs the detector for many tracks at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from captions.stream.decode import Decoder
from captions.types import FRAME_SAMPLES, SAMPLE_RATE, Frame, Gap
from captions.vad.silero import CHUNK_SAMPLES, VAD_RATE

__all__ = ["CHUNK_SPAN", "Ear", "Packet"]

CHUNK_SPAN = CHUNK_SAMPLES * SAMPLE_RATE // VAD_RATE
"""The samples at 24 kHz that one VAD chunk spans."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One message's audio, undecoded, when it arrived, and when its sender says it began to capture it."""

    data: bytes
    arrived_at: float
    captured_at: float | None = None


class Ear:
    """One track. `push` packets, then `advance` while it `has_more`, taking every `chunk` in between.

    `newest` is the packet taken in last.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._packets: deque[Packet] = deque()
        self._decoded: NDArray[np.float32] = np.empty(0, np.float32)
        self._decoded_from = 0
        self.newest = Packet(b"", 0.0)
        self._frame = np.empty(FRAME_SAMPLES, np.float32)
        self._filled = 0
        self._frame_start = 0
        self._to_vad = soxr.ResampleStream(SAMPLE_RATE, VAD_RATE, 1, dtype="float32", quality="LQ")
        self._vad_pcm: NDArray[np.float32] = np.empty(0, np.float32)
        self._vad_position = 0

    @property
    def position(self) -> int:
        """The media position up to which audio was taken in (samples)."""
        return self._frame_start + self._filled

    @property
    def has_more(self) -> bool:
        """Whether `advance` has anything left to take in."""
        return bool(self._packets) or self._decoded_from < len(self._decoded)

    @property
    def pending(self) -> int:
        """Packets not taken in yet."""
        return len(self._packets)

    def push(self, packet: Packet) -> None:
        self._packets.append(packet)

    def drop_oldest(self) -> Gap:
        """Give up the packet that has waited longest; the media clock goes on as if it had been heard."""
        lost = self._decoder.samples_in(self._packets.popleft().data)
        start = self.position
        self._begin_frame(start + lost)
        self._vad_pcm = self._vad_pcm[:0]
        self._vad_position = start + lost
        return Gap(start, start + lost, "overload")

    def advance(self) -> Frame | None:
        """Take in audio up to the end of the frame under way; the frame, if it is full then.

        Raises:
            AudioError: a packet cannot be decoded; it is dropped and the next call goes on behind it.
        """
        while self._filled < FRAME_SAMPLES:
            if self._decoded_from == len(self._decoded):
                if not self._packets:
                    return None
                packet = self._packets.popleft()
                self._decoded = self._decoder.decode(packet.data)
                self._decoded_from = 0
                self.newest = packet
            taken = self._decoded[self._decoded_from : self._decoded_from + FRAME_SAMPLES - self._filled]
            self._decoded_from += len(taken)
            self._take(taken)
        frame = Frame(self._frame_start, self._frame, self.newest.arrived_at)
        self._begin_frame(frame.end)
        return frame

    def finish(self, now: float) -> Frame | None:
        """The frame under way, filled up with silence, if it has any audio. The clock stays where the audio ended."""
        if not self._filled:
            return None
        end = self.position
        self._frame[self._filled :] = 0.0
        frame = Frame(self._frame_start, self._frame, now)
        self._begin_frame(end)
        return frame

    def chunk(self) -> tuple[NDArray[np.float32], int] | None:
        """The next full VAD chunk [512] at 16 kHz and the media position of its first sample."""
        if len(self._vad_pcm) < CHUNK_SAMPLES:
            return None
        chunk, self._vad_pcm = self._vad_pcm[:CHUNK_SAMPLES], self._vad_pcm[CHUNK_SAMPLES:]
        start = self._vad_position
        self._vad_position += CHUNK_SPAN
        return chunk, start

    def _take(self, pcm: NDArray[np.float32]) -> None:
        self._frame[self._filled : self._filled + len(pcm)] = pcm
        self._filled += len(pcm)
        resampled = self._to_vad.resample_chunk(pcm)
        self._vad_pcm = np.concatenate([self._vad_pcm, resampled]) if len(self._vad_pcm) else resampled

    def _begin_frame(self, start: int) -> None:
        self._frame_start = start
        self._frame = np.empty(FRAME_SAMPLES, np.float32)
        self._filled = 0
