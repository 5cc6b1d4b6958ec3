"""The CPU default: Moonshine tiny English, whose weights come inside the package `moonshine-voice`.

Moonshine reads a whole utterance at once, so each lane keeps the utterance under way and reads it anew about twice a
second; local agreement commits what two readings share. It gives no word times: words are laid over the utterance's
voiced time in proportion to their letters, which is right to about a fifth of a second.
"""

from __future__ import annotations

import ctypes
import time
import wave
from collections.abc import Sequence
from pathlib import Path

import moonshine_voice
import numpy as np
import soxr
from moonshine_voice.moonshine_api import TranscriptC
from moonshine_voice.transcriber import Transcriber
from numpy.typing import NDArray

from captions.models.agreement import Agreement
from captions.models.loops import without_loop
from captions.models.model import Batch, LaneEvent, LaneOutput, LaneTentative, LaneWord, ModelError, ModelInfo
from captions.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE, Pcm, frames_in

__all__ = ["MoonshineModel"]

MOONSHINE_RATE = 16_000
READ_EVERY_FRAMES = frames_in(0.48)
LONGEST_UTTERANCE_FRAMES = frames_in(9.0)
CUT_WITHIN_FRAMES = frames_in(2.4)
CUT_CLEAR_FRAMES = frames_in(0.24)
VOICED_SHARE_OF_PEAK = 0.08
VOICED_RMS = 0.003
UNSTEADY_WORDS = 2
USUAL_WORDS_PER_S = 5.0
FEWEST_VOICED_FRAMES = 2
SPEECH = "two_cities.wav"
"""English of the package's own, which one channel of 16 bits holds; it is timed."""

TIMED_READINGS = 3


class _Utterance:
    """What a lane has heard since the last cut, and how loud each frame of it was.

    `start`: lane time of the first sample; `unread`: voiced frames since the last reading.
    """

    def __init__(self, start: int) -> None:
        self.start = start
        self.frames = 0
        self.unread = 0
        self.agreement = Agreement(unsteady=3)
        self._pcm = np.empty(LONGEST_UTTERANCE_FRAMES * FRAME_SAMPLES, np.float32)
        self._rms = np.zeros(LONGEST_UTTERANCE_FRAMES, np.float32)
        self._last_end = start

    @property
    def full(self) -> bool:
        return self.frames == LONGEST_UTTERANCE_FRAMES

    def append(self, frame: Pcm) -> None:
        at = self.frames * FRAME_SAMPLES
        self._pcm[at : at + FRAME_SAMPLES] = frame
        self._rms[self.frames] = np.sqrt(np.dot(frame, frame) / FRAME_SAMPLES)
        self.frames += 1
        self.unread += bool(self._voiced()[-1])

    def heard_in(self, reading: Sequence[str]) -> list[str]:
        """The words of a reading that somebody can have said: none in silence, and those of a loop once.

        Only a reading with more words than people usually say in the time is looked at for loops.
        """
        voiced = np.count_nonzero(self._voiced())
        if voiced < FEWEST_VOICED_FRAMES:
            return []
        usual = 2 + int(voiced * FRAME_S * USUAL_WORDS_PER_S)
        return without_loop(reading) if len(reading) > usual else list(reading)

    def audio(self) -> Pcm:
        return self._pcm[: self.frames * FRAME_SAMPLES]

    def quietest_cut(self) -> int:
        """The frame before which a full utterance is best cut: the quietest of the last seconds."""
        first = self.frames - CUT_WITHIN_FRAMES
        return first + int(np.argmin(self._rms[first : self.frames - CUT_CLEAR_FRAMES]))

    def split(self, cut: int) -> _Utterance:
        """Keep the frames before `cut`; the rest becomes the next utterance."""
        rest = _Utterance(self.start + cut * FRAME_SAMPLES)
        for frame in self._pcm[cut * FRAME_SAMPLES : self.frames * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES):
            rest.append(frame)
        self.frames = cut
        return rest

    def commit(self, words: Sequence[str], behind: Sequence[str]) -> list[LaneWord]:
        """Times for `words`, which follow those committed before and are followed by `behind` up to the last sound."""
        laid = self.lay_out((*words, *behind))[: len(words)]
        if laid:
            self._last_end = laid[-1].end or self._last_end
        return laid

    def lay_out(self, words: Sequence[str]) -> list[LaneWord]:
        """Lay all words behind the committed ones over the voiced time since, by their letters."""
        voiced = np.flatnonzero(self._voiced())
        voiced = voiced[(voiced + 1) * FRAME_SAMPLES + self.start > self._last_end]
        ends = np.cumsum([len(word) + 1 for word in words])
        laid: list[LaneWord] = []
        at = max(self._last_end, self._position(voiced, 0.0))
        for word, letters in zip(words, ends, strict=True):
            start, at = at, max(at, self._position(voiced, letters / ends[-1]))
            laid.append(LaneWord(word, start, at))
        return laid

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
        return rms > max(VOICED_RMS, VOICED_SHARE_OF_PEAK * float(rms.max()))


class MoonshineModel:
    """Moonshine tiny English on the CPU. See `Model` for the contract. `measured`: see `ModelInfo`."""

    def __init__(self, lanes: int, measured: tuple[tuple[int, float], ...] = ()) -> None:
        self.info = ModelInfo(
            name="moonshine-tiny-en",
            languages=("en",),
            lanes=lanes,
            delay_frames=0,
            prefix_frames=0,
            flush_frames=1,
            feeds_silence=False,
            measured=measured,
        )
        folder = Path(moonshine_voice.get_assets_path()) / "tiny-en"
        options = {"vad_threshold": "0.0", "return_audio_data": "false"}
        try:
            self._transcriber = Transcriber(folder, moonshine_voice.ModelArch.TINY, options=options)
        except moonshine_voice.MoonshineError as error:
            raise ModelError(f"moonshine-voice could not load its model from {folder}: {error}") from error
        self._clock = [0] * lanes
        self._utterances: list[_Utterance | None] = [None] * lanes

    def warm_up(self) -> None:
        self._read(np.zeros(SAMPLE_RATE, np.float32))

    def lane_step_s(self) -> float:
        """Seconds that a frame of a lane takes while somebody speaks: its share of reading a middling utterance.

        The best of a few, because what else runs on the machine only ever adds to them.
        """
        with wave.open(str(Path(moonshine_voice.get_assets_path()) / SPEECH)) as file:
            file.setpos(file.getframerate())
            said = file.readframes(int(file.getframerate() * LONGEST_UTTERANCE_FRAMES * FRAME_S / 2))
            heard = np.frombuffer(said, "<i2").astype(np.float32) / 32_768
            audio = soxr.resample(heard, file.getframerate(), SAMPLE_RATE)
        taken = []
        for _ in range(TIMED_READINGS):
            began_at = time.perf_counter()
            self._read(audio)
            taken.append(time.perf_counter() - began_at)
        return min(taken) / READ_EVERY_FRAMES

    def reset(self, lanes: Sequence[int]) -> None:
        for lane in lanes:
            self._clock[lane] = 0
            self._utterances[lane] = None

    def step(self, batch: Batch) -> list[LaneOutput]:
        outputs = []
        for lane in np.flatnonzero(batch.active).tolist():
            events = self._step_lane(lane, batch.pcm[lane], bool(batch.closing[lane]), bool(batch.lagging[lane]))
            if events:
                outputs.append(LaneOutput(lane, tuple(events)))
        return outputs

    def close(self) -> None:
        self._transcriber.close()

    def _step_lane(self, lane: int, frame: Pcm, closing: bool, lagging: bool) -> list[LaneEvent]:
        utterance = self._utterances[lane]
        if closing:
            self._clock[lane] += FRAME_SAMPLES
            self._utterances[lane] = None
            return self._finish(utterance) if utterance is not None else []
        if utterance is None:
            utterance = self._utterances[lane] = _Utterance(self._clock[lane])
        utterance.append(frame)
        self._clock[lane] += FRAME_SAMPLES
        if utterance.full:
            self._utterances[lane] = utterance.split(utterance.quietest_cut())
            return self._finish(utterance)
        if utterance.unread < READ_EVERY_FRAMES or lagging:
            return []
        utterance.unread = 0
        words = self._read(utterance.audio())
        if len(utterance.heard_in(words)) < len(words):
            return []
        reading = utterance.agreement.update(words)
        committed = utterance.commit(reading.committed, (*reading.tentative, *reading.unsteady))
        tentative = utterance.lay_out((*reading.tentative, *reading.unsteady))[: len(reading.tentative)]
        return [*committed, LaneTentative(tuple(tentative))]

    def _finish(self, utterance: _Utterance) -> list[LaneEvent]:
        """Read an utterance for the last time and commit all of it."""
        words = utterance.agreement.close(utterance.heard_in(self._read(utterance.audio())))
        return [*utterance.commit(words, ()), LaneTentative(())]

    def _read(self, audio: Pcm) -> list[str]:
        """All words of an utterance; the model doubles a comma now and then.

        The package's own call wants a Python list of floats; its library, a buffer.
        """
        pcm = soxr.resample(audio, SAMPLE_RATE, MOONSHINE_RATE, "MQ")
        transcript = ctypes.POINTER(TranscriptC)()
        status = self._transcriber._lib.moonshine_transcribe_without_streaming(
            self._transcriber._handle,
            pcm.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
            len(pcm),
            MOONSHINE_RATE,
            0,
            ctypes.byref(transcript),
        )
        if status != 0:
            raise ModelError(f"moonshine-voice failed with status {status}")
        lines = (transcript.contents.lines[i] for i in range(transcript.contents.line_count))
        text = " ".join(ctypes.string_at(line.text).decode(errors="replace") for line in lines)
        return text.replace(",,", ",").split()
