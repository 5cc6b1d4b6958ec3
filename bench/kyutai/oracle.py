"""The oracle: the tokens of every stream in a busy batch are those of moshi's own single-stream loop, one for one.

A schedule is of 8 lanes: streams of speech, noise and silence join at any step, pause (their lane is masked), are
flushed, leave, and the lane is reset for the next one, which begins behind a second of silence that it is not fed.
Some streams are poison, samples that no track may send and that make the model's own figures overflow: what they say is
nobody's matter, but nobody else may notice them. Everything is float32. Hypothesis draws the schedules in schedules.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.kyutai.moshis_loop import moshis_loop
from captions.cli.audio_file import blocks
from captions.cli.demo import clip
from captions.models.kyutai.backend import Backend
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.model import KyutaiModel
from captions.models.kyutai.onnx_backend.backend import OnnxBackend
from captions.models.kyutai.onnx_backend.convert import convert
from captions.models.kyutai.torch_backend.attention import ATTENTION, Attention
from captions.models.kyutai.torch_backend.backend import TorchBackend
from captions.models.kyutai.torch_backend.weights import Weights
from captions.models.model import Batch, LaneOutput, LanePause, LaneWord, LaneWordEnd
from captions.types import FRAME_SAMPLES, SAMPLE_RATE, Pcm

__all__ = ["LANES", "POISONS", "Oracle", "Schedule", "Stream", "Tally", "onnx_float32", "random_schedule", "sound"]

LANES = 8
PAUSE_TOLERANCE = 1e-3
"""How far a pause probability may be off; tokens may not be off at all."""


POISONS = {"huge": 3e38, "negative": -3e38, "infinite": np.inf, "no number": np.nan}
"""The sample that a poisonous stream consists of, by the poison's name."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What one track sends: `silence_frames` of nothing, then `frames` of sound number `sound`, then a flush or not.

    `wait`: steps its lane stays as it was before it is reset for this stream. `poison`: of which its sound consists
    instead, if it has a name.
    """

    sound: int
    silence_frames: int
    frames: int
    flushed: bool
    wait: int
    poison: str = ""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The streams of each lane, in order, and which lanes have a frame at each step; in the end all of them have."""

    lanes: list[list[Stream]]
    frames_at: list[int]

    def active(self, step: int) -> NDArray[np.bool_]:
        bits = self.frames_at[step] if step < len(self.frames_at) else (1 << LANES) - 1
        lanes: NDArray[np.bool_] = (bits >> np.arange(LANES)) & 1 == 1
        return lanes


def random_schedule(number: int) -> Schedule:
    """A schedule by a number, for where Hypothesis is not installed: as busy as those that it draws."""
    random = np.random.default_rng(number)

    def stream() -> Stream:
        silence_frames = int(random.choice([0, 0, 1]))
        sound, frames, wait = (int(random.integers(*bounds)) for bounds in ((0, 10**6), (1, 46), (0, 21)))
        poison = str(random.choice([*[""] * 8, *POISONS]))
        return Stream(sound, silence_frames, frames, bool(random.integers(2)), wait, poison)

    lanes = [[stream() for _ in range(random.integers(4))] for _ in range(LANES)]
    return Schedule(lanes, random.integers(0, 1 << LANES, size=int(random.integers(121))).tolist())


@dataclass(slots=True)
class Tally:
    """What has been compared so far."""

    schedules: int = 0
    streams: int = 0
    tokens: int = 0
    kinds: set[int] = field(default_factory=set)


class Oracle:
    """A model and moshi's loop over the same checkpoint. Call `check` for each schedule.

    `backend_of`: makes the backend to be checked; by default it is torch's, on `device` and with `attention`.
    """

    def __init__(
        self,
        folder: Path,
        device: str = "cpu",
        attention: Attention = ATTENTION,
        backend_of: Callable[[Checkpoint], Backend] | None = None,
    ) -> None:
        self.tally = Tally()
        checkpoint = Checkpoint.find(str(folder))
        if backend_of is None:
            weights = Weights.load(checkpoint, torch.device(device), torch.float32)
            prefix_frames = checkpoint.prefix_frames
            backend: Backend = TorchBackend(weights, LANES, prefix_frames=prefix_frames, attention=attention)
        else:
            backend = backend_of(checkpoint)
        self._model = KyutaiModel(checkpoint, checkpoint.load_tokenizer(), backend)
        self._model.warm_up()
        self._moshis = moshis_loop(folder, device)

    def check(self, schedule: Schedule) -> None:
        """Run the schedule and moshi's loop on each of its streams.

        Raises:
            AssertionError: a token, or a pause probability, is not moshi's.
        """
        heard = self._run(schedule)
        self.tally.schedules += 1
        for stream, tokens, pauses in heard:
            if stream.poison:
                continue
            expected, expected_pauses = self._moshis.tokens(stream, self._frames(stream))
            assert tokens == expected, f"{stream}: {tokens} should be {expected}"
            if pauses:
                worst = float(np.abs(np.array(pauses) - np.array(expected_pauses)).max())
                assert worst <= PAUSE_TOLERANCE, f"{stream}: a pause head is off by {worst}"
            self.tally.streams += 1
            self.tally.tokens += len(tokens)
            self.tally.kinds.update(tokens)

    def _run(self, schedule: Schedule) -> list[tuple[Stream, list[int], list[tuple[float, ...]]]]:
        """Every stream with the tokens and pauses it got in the batch."""
        batch = Batch.of(LANES, FRAME_SAMPLES)
        lanes = [self._feed(streams) for streams in schedule.lanes]
        heard: list[tuple[Stream, list[int], list[tuple[float, ...]]]] = []
        owner: dict[int, int] = {}
        going, step = set(range(LANES)), 0
        while going:
            active = schedule.active(step)
            step += 1
            batch.active[:] = False
            batch.closing[:] = False
            for lane in [lane for lane in going if active[lane]]:
                fed = next(lanes[lane], None)
                if fed is None:
                    going.discard(lane)
                elif isinstance(fed, Stream):
                    self._model.reset([lane])
                    owner[lane] = len(heard)
                    heard.append((fed, [], []))
                elif fed[0] is not None:
                    batch.active[lane], batch.pcm[lane], batch.closing[lane] = True, fed[0], fed[1]
            for output in self._model.step(batch):
                assert batch.active[output.lane], "a lane spoke that had no frame"
                _check_order(output)
                pauses = heard[owner[output.lane]][2]
                pauses += [event.probabilities for event in output.events if isinstance(event, LanePause)]
            for lane in np.flatnonzero(batch.active).tolist():
                heard[owner[lane]][1].append(int(self._model.tokens[lane]))
        return heard

    def _feed(self, streams: list[Stream]) -> Iterator[Stream | tuple[Pcm | None, bool]]:
        """A lane's turns: a stream to reset for, or a frame (None: none yet) and whether it closes a flush."""
        for stream in streams:
            for _ in range(stream.wait):
                yield None, False
            yield stream
            frames = self._frames(stream)
            for number, frame in enumerate(frames, 1):
                yield frame, stream.flushed and number == len(frames)

    def _frames(self, stream: Stream) -> list[Pcm]:
        silence = [np.zeros(FRAME_SAMPLES, np.float32)]
        flush = self._model.info.flush_frames if stream.flushed else 0
        return [*silence * stream.silence_frames, *_sound_of(stream), *silence * flush]


def onnx_float32(checkpoint: Checkpoint) -> Backend:
    """The engine for machines without a GPU, in the one precision in which its tokens must be moshi's."""
    return OnnxBackend(checkpoint, LANES, convert(checkpoint, "float32"), "float32", 1, checkpoint.prefix_frames)


def _check_order(output: LaneOutput) -> None:
    """No word ends before it starts, and an end follows only a word that was given without."""
    for event in output.events:
        if isinstance(event, LaneWord):
            assert event.text == event.text.strip() != ""
            assert 0 <= event.start <= (event.start if event.end is None else event.end)
        elif isinstance(event, LaneWordEnd):
            assert event.end >= 0


@cache
def _speech() -> Pcm:
    return np.concatenate(list(blocks(clip(), SAMPLE_RATE // 10, SAMPLE_RATE)))


def _sound_of(stream: Stream) -> NDArray[np.float32]:
    if stream.poison:
        return np.full((stream.frames, FRAME_SAMPLES), POISONS[stream.poison], np.float32)
    return sound(stream.sound, stream.frames)


def sound(number: int, frames: int) -> NDArray[np.float32]:
    """Frames [frames, 1920] cut from real speech at a random place, at a random loudness, over noise."""
    random = np.random.default_rng(number)
    speech, length = _speech(), frames * FRAME_SAMPLES
    start = int(random.integers(0, len(speech) - length))
    noise = random.normal(size=length).astype(np.float32) * np.float32(10 ** random.uniform(-4, -1))
    cut = speech[start : start + length] * np.float32(random.uniform(0.1, 1.5)) + noise
    return np.clip(cut, -1.0, 1.0).reshape(frames, FRAME_SAMPLES)
