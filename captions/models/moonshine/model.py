"""The CPU default: Moonshine tiny English, lane by lane.

A lane's utterance is read anew while somebody speaks, and as soon as a pause begins; `Commitment` says which of its
words are final. The reader gives no word times: words are laid over the utterance's voiced time in proportion to
their letters, which is right to about a fifth of a second.
"""

from __future__ import annotations

import time
import wave
from collections.abc import Sequence

import numpy as np
import soxr

from captions.models.model import Batch, LaneEvent, LaneOutput, LaneTentative, ModelInfo
from captions.models.moonshine.loops import without_loop
from captions.models.moonshine.reader import READER_RATE, MoonshineReader
from captions.models.moonshine.utterance import Utterance
from captions.models.moonshine.words import HeardWord
from captions.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE, Pcm, frames_in

__all__ = ["MoonshineModel"]

READ_EVERY_FRAMES = frames_in(0.32)
PAUSE_FRAMES = frames_in(0.24)
USUAL_WORDS_PER_S = 5.0
FEWEST_VOICED_S = 0.16
MUTE_S = 1.2
"""So much speech of which the reader makes no new word: it is led astray by the words that it has to begin with."""

SPEECH, SPEECH_S = "two_cities.wav", 5.0
"""English of the package's own, which one channel of 16 bits holds; so much of it is timed."""

TIMED_READINGS = 3
NEW_WORDS = 2


class _Lane:
    """`fresh`: voiced frames since the utterance was last read; `mute`: voiced frames since a word was heard."""

    def __init__(self) -> None:
        self.clock = 0
        self.utterance: Utterance | None = None
        self.fresh = 0
        self.mute = 0


class MoonshineModel:
    """Moonshine tiny English on the CPU. See `Model` for the contract. `measured`: see `ModelInfo`."""

    def __init__(self, lanes: int, measured: tuple[tuple[int, float], ...] = ()) -> None:
        self.info = ModelInfo(
            name="moonshine-tiny-en",
            languages=("en",),
            lanes=lanes,
            delay_frames=0,
            flush_frames=1,
            feeds_silence=False,
            measured=measured,
        )
        self._reader = MoonshineReader()
        self._lanes = [_Lane() for _ in range(lanes)]

    def warm_up(self) -> None:
        self._reader.read(np.zeros(READER_RATE, np.float32))

    def lane_step_s(self) -> float:
        """Seconds that a frame of a lane takes while somebody speaks: its share of reading a middling utterance.

        The best of a few, because what else runs on the machine only ever adds to them.
        """
        with wave.open(str(self._reader.folder.parent / SPEECH)) as file:
            file.setpos(file.getframerate())
            said = np.frombuffer(file.readframes(round(file.getframerate() * SPEECH_S)), "<i2").astype(np.float32)
            pcm = soxr.resample(said / 32_768, file.getframerate(), READER_RATE)
        known = [token for word in self._reader.read(pcm)[:-NEW_WORDS] for token in word.tokens]
        taken = []
        for _ in range(TIMED_READINGS):
            began_at = time.perf_counter()
            self._reader.read(pcm, draft=known)
            taken.append(time.perf_counter() - began_at)
        return min(taken) / READ_EVERY_FRAMES

    def reset(self, lanes: Sequence[int]) -> None:
        for lane in lanes:
            self._lanes[lane] = _Lane()

    def step(self, batch: Batch) -> list[LaneOutput]:
        outputs = []
        for lane in np.flatnonzero(batch.active).tolist():
            if batch.closing[lane]:
                events = self._close(self._lanes[lane], batch.pcm[lane])
            else:
                events = self._hear(self._lanes[lane], batch.pcm[lane], bool(batch.lagging[lane]))
            if events:
                outputs.append(LaneOutput(lane, tuple(events)))
        return outputs

    def close(self) -> None:
        """There is nothing to free by hand."""

    def _hear(self, lane: _Lane, frame: Pcm, lagging: bool) -> list[LaneEvent]:
        utterance = lane.utterance
        if utterance is None:
            utterance = lane.utterance = Utterance(lane.clock)
        said: list[LaneEvent] = []
        utterance.shorten()
        if utterance.is_full:
            said = self._finish(lane, utterance)
            utterance = lane.utterance = Utterance(lane.clock)
        lane.clock += FRAME_SAMPLES
        is_voiced = utterance.append(frame)
        lane.fresh += is_voiced
        lane.mute += is_voiced
        pauses = utterance.silent == PAUSE_FRAMES and lane.fresh > 0
        if lagging or not (pauses or lane.fresh >= READ_EVERY_FRAMES):
            return said
        return said + self._update(lane, utterance)

    def _update(self, lane: _Lane, utterance: Utterance) -> list[LaneEvent]:
        fresh_s = lane.fresh * FRAME_S
        reading = self._read(lane, utterance)
        commitment = utterance.commitment
        if len(reading) > commitment.words:
            lane.mute = 0
        elif commitment.words and lane.mute * FRAME_S > MUTE_S:
            lane.mute = 0
            utterance.begin_anew()
            return [LaneTentative(())]
        paused = utterance.silent >= PAUSE_FRAMES
        update = commitment.update(reading, paused, fresh_s)
        behind = (*update.shown, *update.hidden)
        committed = utterance.commit(update.committed, behind)
        shown = utterance.lay_out(behind)[: len(update.shown)]
        if paused and commitment.is_settled:
            utterance.rest()
        return [*committed, LaneTentative(tuple(shown))]

    def _close(self, lane: _Lane, silence: Pcm) -> list[LaneEvent]:
        """A flush: what was heard so far is final. The utterance goes on with the next speech, but for its words."""
        lane.clock += FRAME_SAMPLES
        utterance = lane.utterance
        if utterance is None:
            return []
        said = self._finish(lane, utterance)
        utterance.shorten()
        if utterance.is_full:
            lane.utterance = None
            return said
        utterance.append(silence)
        utterance.rest()
        return said

    def _finish(self, lane: _Lane, utterance: Utterance) -> list[LaneEvent]:
        """Commit all words of an utterance. It is not read again if nobody has spoken since."""
        fresh_s = lane.fresh * FRAME_S
        commitment = utterance.commitment
        words = commitment.close(self._read(lane, utterance), fresh_s) if lane.fresh else commitment.settle()
        return [*utterance.commit(words, ()), LaneTentative(())]

    def _read(self, lane: _Lane, utterance: Utterance) -> tuple[HeardWord, ...]:
        """All words of the utterance so far; none in silence, and those of a loop once."""
        lane.fresh = 0
        commitment = utterance.commitment
        pcm = soxr.resample(utterance.audio, SAMPLE_RATE, READER_RATE, "MQ")
        reading = self._reader.read(pcm, commitment.tokens, commitment.draft)
        voiced_s = utterance.voiced_s
        if voiced_s < FEWEST_VOICED_S:
            return reading[: commitment.words]
        if len(reading) > 2 + int(voiced_s * USUAL_WORDS_PER_S):
            return reading[: max(commitment.words, len(without_loop([word.text for word in reading])))]
        return reading
