"""The engine: what model and configuration ask of gate and lanes, and the way of a track's audio to its sink."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any

import numpy as np
import pytest

from captions.config import Config, LanesConfig, LimitsConfig, VadConfig
from captions.engine.engine import Engine, EngineCensus, Failure, Post
from captions.engine.orders import Arrived, AudioEnded, FlushAsked, HearingEvent, PacketArrived, SenderHeld, Taken
from captions.engine.policies import gate_policy, lane_policy
from captions.engine.runner import runner_of
from captions.metrics import Metrics
from captions.models.lane_policy import LanePolicy
from captions.models.model import Batch, LaneOutput, ModelError, ModelInfo
from captions.models.scripted import ScriptedModel
from captions.stream.codec import Codec
from captions.stream.ear import Ear
from captions.stream.timeline import Packet
from captions.types import FRAME_SAMPLES, SAMPLE_RATE, Flushed, Gap, ModelFailed, Pcm, Progress, TrackEvent, Word
from captions.vad.gate import GatePolicy, SpurtEnded, SpurtStarted
from tests.server.harness import PATIENCE_S, pcm_f32le, until
from tests.speech import saying, silence

STEP_S = 1 / 32
"""A step's cost, of which sums are exact."""


class Clock:
    """Stands still but for steps, whose lanes it remembers."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stepped: list[int] = []

    def __call__(self) -> float:
        return self.now

    def step(self, lanes: int) -> None:
        if lanes:
            self.stepped.append(lanes)
            self.now += STEP_S


class Recorded(ScriptedModel):
    """Knows whether it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


class Hesitant(Recorded):
    """Waits with its first words until it may speak."""

    def __init__(self) -> None:
        super().__init__(lanes=1, delay_frames=0)
        self.steps = 0
        self.has_words = threading.Event()
        self.may_speak = threading.Event()

    def step(self, batch: Batch) -> list[LaneOutput]:
        said = super().step(batch)
        self.steps += 1
        if said:
            self.has_words.set()
            assert self.may_speak.wait(PATIENCE_S)
        return said


class Deaf(Recorded):
    """Says nothing, as a model that stalls."""

    def __init__(self) -> None:
        super().__init__(lanes=1, delay_frames=2)
        self.info = replace(self.info, can_stall=True)

    def step(self, batch: Batch) -> list[LaneOutput]:
        super().step(batch)
        return []


class Broken(Recorded):
    """Fails at its first step."""

    def step(self, batch: Batch) -> list[LaneOutput]:
        raise ModelError("the device is lost")


class NeverWarm(Recorded):
    error: Exception = ModelError("no such device")

    def warm_up(self) -> None:
        raise self.error


@dataclass
class Sink:
    """All that a track was told, in order."""

    events: list[HearingEvent | TrackEvent] = field(default_factory=list)

    def heard(self, event: HearingEvent) -> None:
        self.events.append(event)

    def said(self, events: Sequence[TrackEvent]) -> None:
        self.events += events

    def of(self, *kinds: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]

    def outline(self) -> list[str]:
        """The words, flushes and spurts, by their names."""
        told = self.of(Word, Flushed, SpurtStarted, SpurtEnded)
        return [e.text if isinstance(e, Word) else type(e).__name__ for e in told]

    async def hears(self, *events: HearingEvent | TrackEvent) -> None:
        await until(lambda: all(event in self.events for event in events))


class Bench:
    """An engine with a scripted model, and its metrics."""

    def __init__(
        self,
        model: ScriptedModel | None = None,
        config: Config | None = None,
        *,
        by_hand: bool = False,
        most_waiting: int = 1_000,
    ) -> None:
        """`by_hand`: the engine takes its turns when told to, on the caller's thread."""
        self.clock = Clock()
        self.metrics = Metrics()
        self.model = model or Recorded(lanes=4, delay_frames=2, step_work=self.clock.step)
        post: Post | None = (lambda call: call()) if by_hand else None
        self.engine = Engine(
            runner_of(self.model, config or Config(), self.clock, most_waiting),
            config or Config(),
            self.metrics,
            self.clock,
            post=post,
            most_waiting=most_waiting,
        )

    def open(self, sink: Sink, room: str = "room", *, drops: bool = True) -> int:
        """A track from which however little comes, its spurts are not taken to have ended."""
        track = self.engine.open(room, Codec("pcm_f32le", SAMPLE_RATE), sink, drops=drops)
        self.engine.tell(SenderHeld(track))
        return track

    def speak(self, track: int, frames: Iterable[Pcm]) -> None:
        for frame in frames:
            self.engine.hear([PacketArrived(track, Packet(pcm_f32le(frame), 0.0))])

    def metric(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"captions_{name}")


@asynccontextmanager
async def running(model: ScriptedModel | None = None, config: Config | None = None) -> AsyncIterator[Bench]:
    bench = Bench(model, config)
    bench.engine.start()
    try:
        await bench.engine.warm_up()
        yield bench
    finally:
        await bench.engine.stop()


# What the model and the configuration ask for


def model(**info: Any) -> ModelInfo:
    """A model of 16 lanes, as on a GPU, with some figures of its own."""
    return replace(ScriptedModel(lanes=16, delay_frames=6, feeds_silence=True).info, **info)


def test_the_gate_is_as_configured() -> None:
    config = Config(vad=VadConfig(onset=0.6, release=0.3, onset_s=0.1, hangover_s=0.7))
    assert gate_policy(model(hangover_s=0.8), config) == GatePolicy(0.6, 0.3, 0.1, hangover_s=0.7)


def test_a_hangover_of_zero_is_the_models() -> None:
    assert gate_policy(model(hangover_s=0.8), Config()) == GatePolicy(0.5, 0.35, 0.064, hangover_s=0.8)


def test_the_lanes_are_the_models_with_the_configured_times_in_frames() -> None:
    assert lane_policy(model(can_stall=True), Config()) == LanePolicy(
        lanes=16,
        flush_frames=7,
        preroll_frames=8,
        backlog_frames=250,
        wait_frames=75,
        stall_frames=75 + 6,
        feeds_silence=True,
    )
    config = Config(lanes=LanesConfig(preroll_s=0.5, wait_s=1.0, stall_s=0.9), limits=LimitsConfig(pending_audio_s=3.0))
    assert lane_policy(model(can_stall=True), config) == LanePolicy(
        lanes=16,
        flush_frames=7,
        preroll_frames=7,
        backlog_frames=38,
        wait_frames=13,
        stall_frames=12 + 6,
        feeds_silence=True,
    )


@pytest.mark.parametrize(("can_stall", "stall_s", "stall_frames"), [(True, 6.0, 81), (True, 0.0, 0), (False, 6.0, 0)])
def test_the_watchdog_is_for_models_that_can_stall_unless_it_is_turned_off(
    can_stall: bool, stall_s: float, stall_frames: int
) -> None:
    config = Config(lanes=LanesConfig(stall_s=stall_s))
    assert lane_policy(model(can_stall=can_stall), config).stall_frames == stall_frames


def test_a_backlog_holds_the_pre_roll_at_least() -> None:
    config = Config(limits=LimitsConfig(pending_audio_s=0.1))
    assert lane_policy(model(), config).backlog_frames == 8


# Tracks


async def test_track_numbers_are_never_given_again() -> None:
    async with running() as bench:
        first = bench.open(Sink())
        bench.engine.close(first)
        assert [first, bench.open(Sink()), bench.open(Sink())] == [1, 2, 3]


async def test_open_tracks_are_counted_and_closing_what_is_not_open_changes_nothing() -> None:
    async with running() as bench:
        first, second = bench.open(Sink()), bench.open(Sink())
        assert (bench.engine.tracks, bench.metric("tracks")) == (2, 2.0)
        bench.engine.close(first)
        bench.engine.close(first)
        bench.engine.close(77)
        assert (bench.engine.tracks, bench.metric("tracks")) == (1, 1.0)
        bench.engine.close(second)
        assert (bench.engine.tracks, bench.metric("tracks")) == (0, 0.0)


async def test_the_engine_is_idle_while_no_track_is_open() -> None:
    async with running() as bench, asyncio.timeout(PATIENCE_S):
        await bench.engine.idle()
        first, second = bench.open(Sink()), bench.open(Sink())
        idle = asyncio.create_task(bench.engine.idle())
        bench.engine.close(first)
        await asyncio.sleep(0)
        assert not idle.done()
        bench.engine.close(second)
        await idle


async def test_stopping_ends_both_threads_and_closes_the_model() -> None:
    before = set(threading.enumerate())
    model = Recorded(lanes=1)
    async with running(model):
        running_threads = {thread.name for thread in set(threading.enumerate()) - before}
        assert ({"listener", "model"} <= running_threads, model.closed) == (True, False)
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert ({"listener", "model"} & left, model.closed) == (set(), True)


# From audio to words


async def test_a_track_is_told_of_its_audio_its_spurt_and_its_words_in_order() -> None:
    async with running(config=Config(vad=VadConfig(skip_silence=False))) as bench:
        sink = Sink()
        track = bench.open(sink)
        bench.speak(track, [*silence(5), *saying(11, 12, 13), *silence(10)])
        await sink.hears(Flushed(None))
        placed = [(one.start, one.samples) for event in sink.of(Arrived) for one in event.packets]
        assert placed == [(n * FRAME_SAMPLES, FRAME_SAMPLES) for n in range(24)]
        assert [type(e) for e in sink.of(SpurtStarted, SpurtEnded)] == [SpurtStarted, SpurtEnded]
        assert [(word.text, word.start // FRAME_SAMPLES) for word in sink.of(Word)] == [
            ("w11", 5),
            ("w12", 8),
            ("w13", 11),
        ]
        assert sink.of(Flushed) == [Flushed(None)]
        heard_to = 0
        for event in sink.of(Arrived, Word):
            if isinstance(event, Arrived):
                heard_to = event.packets[-1].start + FRAME_SAMPLES
                continue
            assert event.end <= heard_to, "the loop hears of the audio before the model speaks of it"


async def test_words_reach_the_sink_of_the_track_that_said_them() -> None:
    async with running() as bench:
        sinks = [Sink() for _ in range(3)]
        tracks = [bench.open(sink) for sink in sinks]
        voices = [saying(10, 11, 12), saying(20, 21, 22), saying(30, 31, 32)]
        for frames in zip(*voices, strict=True):
            for track, frame in zip(tracks, frames, strict=True):
                bench.speak(track, [frame])
        for track in tracks:
            bench.engine.tell(AudioEnded(track, f"end of {track}"))
        for track, sink in zip(tracks, sinks, strict=True):
            await sink.hears(Flushed(f"end of {track}"))
        assert [[word.text for word in sink.of(Word)] for sink in sinks] == [
            ["w10", "w11", "w12"],
            ["w20", "w21", "w22"],
            ["w30", "w31", "w32"],
        ]
        assert [sink.of(Flushed) for sink in sinks] == [[Flushed(None), Flushed(f"end of {n}")] for n in tracks]


async def test_a_flush_is_answered_behind_the_words_it_bounds() -> None:
    async with running() as bench:
        sink = Sink()
        track = bench.open(sink)
        bench.speak(track, saying(11, 12))
        bench.engine.tell(FlushAsked(track, "f"))
        await sink.hears(Flushed("f"))
        told = [e.text if isinstance(e, Word) else e for e in sink.of(Word, Flushed)]
        assert told == ["w11", "w12", Flushed("f")]


async def test_a_sender_that_waits_is_told_all_that_was_taken_and_how_far_it_was_dealt_with() -> None:
    async with running() as bench:
        sink = Sink()
        track = bench.open(sink, drops=False)
        bench.speak(track, [*saying(11, 12), *silence(10)])
        await until(lambda: sum(taken.samples for taken in sink.of(Taken)) == 16 * FRAME_SAMPLES)
        await sink.hears(Progress(sink.of(Taken)[-1].pushed_to))
        positions = [progress.to for progress in sink.of(Progress)]
        assert positions == sorted(set(positions))
        assert sink.of(Gap) == []


async def test_what_is_said_of_a_closed_track_is_dropped() -> None:
    model = Hesitant()
    async with running(model) as bench:
        sink = Sink()
        track = bench.open(sink)
        bench.speak(track, saying(11))
        await until(model.has_words.is_set)
        bench.engine.close(track)
        told = list(sink.events)
        model.may_speak.set()
        await until(lambda: bench.metric("steps_total") == model.steps and bench.metric("lanes_in_use") == 0)
        assert sink.events == told
        assert sink.of(Word) == []


async def test_a_track_opened_after_another_hears_nothing_of_it() -> None:
    model = Hesitant()
    async with running(model) as bench:
        gone, comes = Sink(), Sink()
        track = bench.open(gone)
        bench.speak(track, saying(11))
        await until(model.has_words.is_set)
        bench.engine.close(track)
        track = bench.open(comes)
        bench.speak(track, saying(12))
        bench.engine.tell(AudioEnded(track, "end"))
        model.may_speak.set()
        await comes.hears(Flushed("end"))
        assert comes.outline() == ["SpurtStarted", "SpurtEnded", "w12", "Flushed", "Flushed"]
        assert gone.of(Word, Flushed) == []


# What is more than can be heard


async def test_what_a_live_track_has_had_waiting_for_longer_than_configured_is_dropped() -> None:
    bench = Bench(config=Config(limits=LimitsConfig(pending_audio_s=0.1)), by_hand=True)
    sink = Sink()
    track = bench.open(sink)
    bench.engine.turn()
    bench.speak(track, saying(11, 12, 13))
    bench.clock.now += 0.2
    bench.engine.turn()
    assert sink.of(Gap) == [Gap(0, 9 * FRAME_SAMPLES, "overload")]
    assert sink.of(Arrived) == []


@pytest.mark.parametrize(("skips", "heard"), [(True, 0), (False, 30)])
async def test_whether_silence_is_skipped_is_configured(skips: bool, heard: int) -> None:
    async with running(config=Config(vad=VadConfig(skip_silence=skips))) as bench:
        sink = Sink()
        track = bench.open(sink)
        bench.speak(track, silence(30))
        bench.engine.tell(FlushAsked(track, "f"))
        await sink.hears(Flushed("f"))
        assert len(sink.of(Arrived)) == heard


async def test_audio_for_which_the_model_has_no_room_is_told_as_a_gap() -> None:
    bench = Bench(by_hand=True, most_waiting=1)
    sink = Sink()
    track = bench.open(sink)
    bench.engine.turn()
    bench.speak(track, [np.concatenate(saying(11, 12))])
    bench.engine.turn()
    assert sink.of(Gap) == [Gap(n * FRAME_SAMPLES, (n + 1) * FRAME_SAMPLES, "overload") for n in range(1, 6)]


async def test_audio_for_which_the_listener_has_no_room_is_refused_and_nothing_else_is() -> None:
    bench = Bench(by_hand=True, most_waiting=2)
    sink = Sink()
    track = bench.open(sink)
    packet = PacketArrived(track, Packet(pcm_f32le(saying(11)[0]), 0.0))
    assert bench.engine.hear([packet]) == [packet]
    bench.engine.tell(FlushAsked(track, "f"))
    bench.engine.turn()
    assert (sink.of(Arrived), sink.of(Flushed)) == ([], [Flushed("f")])
    assert not bench.engine.hear([packet])
    bench.engine.turn()
    assert len(sink.of(Arrived)) == 1


async def test_the_engine_has_its_fill_while_more_bytes_wait_than_configured() -> None:
    bench = Bench(config=Config(limits=LimitsConfig(pending_bytes=3 * 4 * FRAME_SAMPLES)), by_hand=True)
    track = bench.open(Sink())
    fills = []
    for frames in (3, 1):
        bench.speak(track, silence(frames))
        fills.append(bench.engine.has_its_fill)
    bench.engine.turn()
    assert [*fills, bench.engine.has_its_fill] == [False, True, False]


async def test_a_census_counts_what_each_part_holds() -> None:
    bench = Bench(by_hand=True)
    tracks = [bench.open(Sink()), bench.open(Sink())]
    bench.speak(tracks[0], saying(11, 12))
    bench.engine.turn()
    assert bench.engine.census() == EngineCensus(
        tracks=2, listened_tracks=2, detector_streams=2, scheduled_tracks=2, lanes_in_use=1
    )
    for track in tracks:
        bench.engine.close(track)
    bench.engine.turn()
    assert bench.engine.census() == EngineCensus(0, 0, 0, 0, 0)


# When the model fails


async def test_a_model_that_fails_is_told_to_every_track_and_to_whoever_asks() -> None:
    async with running(Broken(lanes=1)) as bench:
        sinks = [Sink(), Sink()]
        tracks = [bench.open(sink) for sink in sinks]
        bench.speak(tracks[0], saying(11, 12))
        failed = ModelFailed("the device is lost")
        for sink in sinks:
            await sink.hears(failed)
        assert bench.engine.failure == Failure("model_failed", "the device is lost")
        bench.engine.tell(AudioEnded(tracks[0], "end"))
        await sinks[0].hears(Flushed("end"))
        assert sinks[0].of(ModelFailed) == sinks[1].of(ModelFailed) == [failed]


async def test_a_model_that_cannot_be_warmed_up_is_an_error() -> None:
    bench = Bench(NeverWarm(lanes=1))
    bench.engine.start()
    with pytest.raises(ModelError, match="no such device"):
        await bench.engine.warm_up()
    assert bench.engine.failure == Failure("model_failed", "no such device")
    await bench.engine.stop()


async def test_a_warm_up_that_fails_unforeseen_is_an_error_too() -> None:
    model = NeverWarm(lanes=1)
    model.error = ZeroDivisionError()
    bench = Bench(model)
    bench.engine.start()
    with pytest.raises(ModelError, match="ZeroDivisionError"):
        await bench.engine.warm_up()
    await bench.engine.stop()


async def test_a_step_that_never_ends_is_seen_and_told_once_and_the_engine_is_left_with_it() -> None:
    model = Hesitant()
    async with running(model) as bench:
        sink = Sink()
        bench.speak(bench.open(sink), saying(11, 12))
        await until(model.has_words.is_set)
        assert bench.engine.look() is None
        bench.clock.now += 11.0
        failure = Failure("model_hung", "a step of the model takes longer than 10 s")
        assert [bench.engine.look(), bench.engine.look(), bench.engine.failure] == [failure] * 3
        assert sink.of(ModelFailed) == [ModelFailed(failure.message)]
        assert not await bench.engine.stop()
        model.may_speak.set()


async def test_a_listener_that_fails_is_seen_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as bench:
        sink = Sink()
        track = bench.open(sink)
        monkeypatch.setattr(Ear, "push", lambda _ear, _packet: 1 / 0)
        bench.speak(track, saying(11))
        await until(lambda: bench.engine.look() is not None)
        failure = bench.engine.failure
        assert failure is not None
        assert failure.word == "listener_failed"
        assert sink.of(ModelFailed) == [ModelFailed(failure.message)]


# What is counted


async def test_steps_and_lane_waits_are_counted() -> None:
    async with running() as bench:
        sinks = [Sink(), Sink()]
        assert bench.metric("lanes") == 4
        for sink in sinks:
            track = bench.open(sink)
            bench.speak(track, saying(11, 12))
            bench.engine.tell(AudioEnded(track, "end"))
        for sink in sinks:
            await sink.hears(Flushed("end"))
        stepped = bench.clock.stepped
        assert bench.metric("steps_total") == len(stepped) > 0
        assert bench.metric("lane_steps_total") == sum(stepped) == 2 * (6 + 3), "each heard, then flushed"
        assert bench.metric("step_seconds_count") == len(stepped)
        assert bench.metric("step_seconds_sum") == len(stepped) * STEP_S
        assert bench.metrics.registry.get_sample_value("asr_model_step_duration_count") == len(stepped)
        assert bench.metric("lane_wait_seconds_count") == 2
        assert bench.metric("stalls_total") == 0


async def test_how_full_the_lanes_are_is_known_and_a_track_that_waits_makes_them_full() -> None:
    async with running(Recorded(lanes=2, delay_frames=0)) as bench:
        assert bench.engine.lanes_share == 0.0

        def lanes() -> tuple[float | None, float | None, float | None, float]:
            in_use, busy, waiting = map(bench.metric, ("lanes_in_use", "lanes_busy", "tracks_waiting"))
            return in_use, busy, waiting, bench.engine.lanes_share

        tracks = []
        voice = cycle(saying(*[11] * 25))
        for full in [(1, 1, 0, 0.5), (2, 2, 0, 1.0), (2, 2, 1, 1.0)]:
            tracks.append(bench.open(Sink()))
            bench.speak(tracks[-1], saying(11, 12))
            async with asyncio.timeout(PATIENCE_S):
                while lanes() != full:
                    bench.speak(tracks[0], [next(voice)])
                    await asyncio.sleep(0.002)
        bench.engine.close(tracks[0])
        bench.engine.close(tracks[1])
        await until(lambda: lanes() == (1, 1, 0, 0.5))
        bench.engine.close(tracks[2])
        await until(lambda: lanes() == (0, 0, 0, 0.0))


async def test_a_lane_that_is_reset_because_it_fell_silent_is_counted() -> None:
    async with running(Deaf(), Config(lanes=LanesConfig(stall_s=0.4))) as bench:
        sink = Sink()
        track = bench.open(sink)
        bench.speak(track, saying(11, 12, 13, 14))
        bench.engine.tell(AudioEnded(track, "end"))
        await sink.hears(Flushed("end"))
        assert bench.metric("stalls_total") == 1
