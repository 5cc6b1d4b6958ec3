"""One track on its way from packets to frames: orders, decodes, cuts 80 ms frames and VAD chunks, sleeps in silence.

Sans-I/O and without a detector: `advance` gives at most one frame, and leaves the VAD chunks that have become full to
whoever runs the detector for many tracks at once.

    AWAKE    surely silent for long, and nobody speaks  -> ASLEEP
    ASLEEP   a packet that may be speech                -> AWAKE: what was kept is decoded first

Asleep, packets are kept undecoded, those of the last second, so that the pre-roll of the next speech is there.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from captions.stream.codec import AudioError
from captions.stream.decode import Decoder
from captions.stream.timeline import Lost, Packet, Sound, Timeline, Unsent
from captions.types import FRAME_SAMPLES, SAMPLE_RATE, Frame, Gap, samples_in
from captions.vad.silero import CHUNK_SAMPLES, VAD_RATE

__all__ = ["CHUNK_SPAN", "Chunk", "Ear"]

CHUNK_SPAN = CHUNK_SAMPLES * SAMPLE_RATE // VAD_RATE
"""The samples at 24 kHz that one VAD chunk spans."""

KEPT_SAMPLES = samples_in(1.0)
SLEEPS_AFTER_SAMPLES = samples_in(0.5)
PLAYED_SILENCE_SAMPLES = samples_in(1.0)


@dataclass(frozen=True, slots=True)
class Chunk:
    """512 samples at 16 kHz for the detector, from media position `start`; `fresh` if audio before it is missing."""

    pcm: NDArray[np.float32]
    start: int
    fresh: bool


class Ear:
    """One track. `push` packets, then `advance` until it `is_done`, taking every `chunk` in between.

    Set `speaking` to what the speech gate says: a track does not fall asleep in the middle of a spurt. `gaps`, and
    `arrivals` (what was decoded), are for the caller to take and clear. `newest` is the packet taken in last;
    `taken_samples` counts what all packets taken in held, whatever became of them.
    """

    def __init__(self, decoder: Decoder, *, skips_silence: bool = True) -> None:
        self.timeline = Timeline(decoder.clock_rate, decoder.ticks_in)
        self.speaking = False
        self.newest = Packet(b"", 0.0)
        self.gaps: list[Gap] = []
        self.arrivals: list[Sound] = []
        self.concealed = 0
        self._taken = 0
        self._decoder = decoder
        self._skips_silence = skips_silence
        self._asleep = False
        self._silent_for = 0
        self._kept: deque[Sound] = deque()
        self._awoken: deque[Sound] = deque()
        self._awoken_to = 0
        self._decoded: NDArray[np.float32] = np.empty(0, np.float32)
        self._decoded_from = 0
        self._heard_to = 0
        self._blank = True
        self._frame = np.empty(FRAME_SAMPLES, np.float32)
        self._filled = 0
        self._frame_start = 0
        self._audio_from = 0
        self._to_vad = _to_vad_rate()
        self._vad_pcm: NDArray[np.float32] = np.empty(0, np.float32)
        self._vad_position = 0
        self._vad_fresh = False

    @property
    def position(self) -> int:
        """The media position up to which audio was taken in (samples)."""
        return self._frame_start + self._filled

    @property
    def taken_samples(self) -> int:
        return self._taken + self.timeline.refused_samples

    @property
    def is_done(self) -> bool:
        """Whether `advance` found nothing more to take in; packets that wait for earlier ones do not count."""
        return self._blank

    def push(self, packet: Packet) -> bool:
        """The next packet as it came. Whether there is something for `advance`: not while the track sleeps on."""
        self.timeline.push(packet)
        self._blank = self._asleep and not self._stir()
        return not self._blank or bool(self.gaps)

    def end(self) -> bool:
        """No more packets come: what waits for earlier ones waits no longer. Returns what `push` does."""
        self.timeline.give_up_waiting()
        self._blank = self._asleep and not self._stir()
        return not self._blank

    def drop_oldest(self) -> None:
        """Give up the packet that has waited longest, and the frame under way with it: a gap."""
        awoken = bool(self._awoken)
        item = self._awoken.popleft() if awoken else self.timeline.drop_oldest()
        if item is None:
            return
        if isinstance(item, Sound) and not awoken:
            self._taken += item.samples
        under_way = self.position > self._audio_from and item.start == self._heard_to
        end = item.start + item.samples
        self.gaps.append(Gap(self._audio_from if under_way else item.start, end, "overload"))
        self._awoken_to = end
        self._jump(end)

    def advance(self) -> Frame | None:
        """Take in audio up to the end of the frame under way; the frame, if it is full then.

        Raises:
            AudioError: a packet cannot be decoded; it is passed over and the next call goes on behind it.
        """
        while self._filled < FRAME_SAMPLES:
            if self._decoded_from == len(self._decoded) and not self._take_next():
                self._blank = True
                return None
            taken = self._decoded[self._decoded_from : self._decoded_from + FRAME_SAMPLES - self._filled]
            self._decoded_from += len(taken)
            self._add(taken)
        frame = Frame(self._frame_start, self._frame, self.newest.arrived_at)
        self._show_detector(frame.pcm)
        self._begin_frame(frame.end)
        return frame

    def finish(self, now: float) -> Frame | None:
        """The frame under way, filled up with silence, if it has any audio. The clock stays where the audio ended."""
        if not self._filled:
            return None
        end = self._frame_start + self._filled
        self._show_detector(self._frame[: self._filled])
        self._frame[self._filled :] = 0.0
        frame = Frame(self._frame_start, self._frame, now)
        self._begin_frame(end)
        return frame

    def chunk(self) -> Chunk | None:
        """The next full VAD chunk."""
        if len(self._vad_pcm) < CHUNK_SAMPLES:
            return None
        chunk = Chunk(self._vad_pcm[:CHUNK_SAMPLES], self._vad_position, self._vad_fresh)
        self._vad_pcm = self._vad_pcm[CHUNK_SAMPLES:]
        self._vad_position += CHUNK_SPAN
        self._vad_fresh = False
        return chunk

    def _stir(self) -> bool:
        """Keep what has come undecoded. True: the track wakes up."""
        while (item := self.timeline.pop()) is not None:
            if isinstance(item, Sound):
                self._taken += item.samples
                self._sleeps_through(item)
                if not self._asleep:
                    return True
            elif isinstance(item, Unsent) and item.lost:
                self.gaps.append(Gap(item.start, item.start + item.samples, "loss"))
        return False

    def _take_next(self) -> bool:
        """Decode the next stretch of the timeline into `_decoded`. False: there is none yet."""
        while True:
            if self._awoken:
                self._take_awoken()
                return True
            match self.timeline.pop():
                case None:
                    return False
                case Unsent(start, samples, lost):
                    if lost:
                        self.gaps.append(Gap(start, start + samples, "loss"))
                    if self._play_silence(start, samples):
                        return True
                case Lost(start, samples, behind):
                    if not self._asleep:
                        self.concealed += samples
                        self._set(start, samples, self._decoder.conceal(samples, behind.data))
                        return True
                case Sound() as sound:
                    self._taken += sound.samples
                    if not self._sleeps_through(sound):
                        self._decode(sound)
                        return True

    def _take_awoken(self) -> None:
        """What was kept, in its places: the silence that nobody sent between is part of it."""
        sound = self._awoken[0]
        if sound.start > self._awoken_to:
            unsent = sound.start - self._awoken_to
            self._set(self._awoken_to, unsent, np.zeros(unsent, np.float32))
            self._awoken_to = sound.start
            return
        self._awoken_to = sound.start + sound.samples
        self._decode(self._awoken.popleft())

    def _decode(self, sound: Sound) -> None:
        self.newest = sound.packet
        self.arrivals.append(sound)
        try:
            self._set(sound.start, sound.samples, self._decoder.decode(sound.packet.data))
        except AudioError:
            self._set(sound.start, sound.samples, self._decoder.conceal(sound.samples, b""))
            raise

    def _play_silence(self, start: int, samples: int) -> bool:
        """Silence nobody sent: played as far as the speech gate needs it to close, the rest passed over."""
        if self._asleep:
            return False
        self._silent_for += samples
        played = min(samples, PLAYED_SILENCE_SAMPLES) if self.speaking else 0
        if played < samples and self._skips_silence:
            self._fall_asleep()
        if played == 0:
            return False
        self._set(start, played, np.zeros(played, np.float32))
        return True

    def _sleeps_through(self, sound: Sound) -> bool:
        """Whether this packet is not decoded now. Falls asleep and wakes up."""
        if not self._skips_silence:
            return False
        silent = self._decoder.surely_silent(sound.packet.data, sound.packet.level)
        if not self._asleep:
            self._silent_for = self._silent_for + sound.samples if silent else 0
            if self.speaking or self._silent_for <= SLEEPS_AFTER_SAMPLES:
                return False
            self._fall_asleep()
        self.newest = sound.packet
        self._kept.append(sound)
        while sound.start + sound.samples - self._kept[0].start > KEPT_SAMPLES and len(self._kept) > 1:
            self._kept.popleft()
        if not silent:
            self._asleep = False
            self._silent_for = 0
            self._awoken.extend(self._kept)
            self._awoken_to = self._kept[0].start
        return True

    def _fall_asleep(self) -> None:
        self._asleep = True
        self._kept.clear()

    def _set(self, start: int, samples: int, pcm: NDArray[np.float32]) -> None:
        """Audio of the timeline's stretch of `samples` from `start`; a jump there, if something before was passed over.

        The timeline tells, not the samples decoded: a resampler holds some back.
        """
        if start != self._heard_to:
            self._jump(start)
        self._heard_to = start + samples
        self._decoded = pcm
        self._decoded_from = 0

    def _jump(self, position: int) -> None:
        """Go on from another media position: the frame under way is lost, which held silence or damage.

        Frames and chunks stay on the grid they would be on without the jump, so that a track is heard the same
        whether its silence was decoded or not.
        """
        self._begin_frame(position - position % FRAME_SAMPLES)
        self._audio_from = self._heard_to = position
        self._filled = position % FRAME_SAMPLES
        self._frame[: self._filled] = 0.0
        self._decoded_from = len(self._decoded)
        self._to_vad = _to_vad_rate()
        before = self._frame_start % CHUNK_SPAN
        self._vad_position = self._frame_start - before
        self._vad_pcm = np.zeros(before * VAD_RATE // SAMPLE_RATE, np.float32)
        self._vad_fresh = True

    def _add(self, pcm: NDArray[np.float32]) -> None:
        self._frame[self._filled : self._filled + len(pcm)] = pcm
        self._filled += len(pcm)

    def _show_detector(self, pcm: NDArray[np.float32]) -> None:
        """Once a frame: a call of the resampler costs as much for 20 ms as for 80."""
        resampled = self._to_vad.resample_chunk(pcm)
        self._vad_pcm = np.concatenate([self._vad_pcm, resampled]) if len(self._vad_pcm) else resampled

    def _begin_frame(self, start: int) -> None:
        self._frame_start = self._audio_from = start
        self._frame = np.empty(FRAME_SAMPLES, np.float32)
        self._filled = 0


def _to_vad_rate() -> soxr.ResampleStream:
    return soxr.ResampleStream(SAMPLE_RATE, VAD_RATE, 1, dtype="float32", quality="LQ")
