"""The runner, turned by hand: what was heard goes in, words on the right track's clock come out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from captions.engine.orders import (
    CloseTrack,
    EndSpeech,
    FlushTrack,
    OpenTrack,
    Order,
    PushFrame,
    RankTrack,
    StartSpeech,
    StepReport,
    StepResults,
)
from captions.engine.relay import Relay
from captions.engine.runner import Runner
from captions.models.lane_policy import LanePolicy
from captions.models.model import Batch, LaneOutput, LanePause, LaneTentative, LaneWord, LaneWordEnd, ModelError
from captions.models.scheduler import Scheduler
from captions.models.scripted import ScriptedModel, spoken_frame
from captions.types import (
    FRAME_S,
    FRAME_SAMPLES,
    Flushed,
    Frame,
    Gap,
    ModelFailed,
    Pause,
    Pcm,
    Progress,
    Tentative,
    TrackEvent,
    Word,
    WordEnd,
    WordTiming,
)

QUIET: Pcm = np.zeros(FRAME_SAMPLES, np.float32)
STEP_S = 1 / 32
"""A step's cost, of which sums are exact."""


class Clock:
    """Stands still but for steps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.step_s = STEP_S

    def __call__(self) -> float:
        return self.now

    def step(self, _lanes: int) -> None:
        self.now += self.step_s


class Failing(ScriptedModel):
    """Fails at the step it is told to."""

    fails: bool | Exception = False

    def step(self, batch: Batch) -> list[LaneOutput]:
        if self.fails:
            raise ModelError("the device is lost") if self.fails is True else self.fails
        return super().step(batch)


@dataclass
class Bench:
    """A runner with a scripted model on few lanes."""

    lanes: int = 1
    delay_frames: int = 2
    policy: LanePolicy | None = None
    feeds_silence: bool = False
    clock: Clock = field(default_factory=Clock)
    results: list[StepResults] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = Failing(self.lanes, self.delay_frames, self.feeds_silence, self.clock.step)
        policy = self.policy or LanePolicy(
            self.lanes,
            flush_frames=self.model.info.flush_frames,
            preroll_frames=3,
            feeds_silence=self.feeds_silence,
        )
        self.scheduler = Scheduler(policy)
        self.runner = Runner(self.model, self.scheduler, self.results.append, self.clock, max_orders=500)

    def tell(self, *orders: Order) -> None:
        """Submit, and turn until there is nothing left to do."""
        assert self.runner.submit(list(orders)) == []
        while self.runner.turn():
            pass

    def events(self, track: int | None = None) -> list[tuple[int, TrackEvent]]:
        """Everything said so far, or of one track."""
        said = [event for events, _ in self.results for event in events]
        return [one for one in said if track in (None, one[0])]

    def words(self, track: int) -> list[tuple[str, int]]:
        """The words of a track and the frame of its clock that each starts in."""
        return [(e.text, e.start // FRAME_SAMPLES) for _, e in self.events(track) if isinstance(e, Word)]

    def reports(self) -> list[StepReport]:
        return [report for _, report in self.results if report is not None]


def push(track: int, number: int, pcm: Pcm = QUIET, arrived_at: float = 100.0) -> PushFrame:
    return PushFrame(track, Frame(number * FRAME_SAMPLES, pcm, arrived_at))


def spurt(track: int, first: int, words: Sequence[int]) -> list[Order]:
    """Frame `first` is silent, words follow, a frame each, and the gate opens a frame late."""
    return [
        push(track, first),
        push(track, first + 1, spoken_frame(words[0])),
        StartSpeech(track),
        *(push(track, first + 2 + n, spoken_frame(word)) for n, word in enumerate(words[1:])),
        EndSpeech(track),
    ]


def test_words_come_on_the_tracks_clock_with_their_moments_and_the_flush_behind_them() -> None:
    bench = Bench(delay_frames=2)
    bench.tell(OpenTrack(7, "room", True), push(7, 30, spoken_frame(5), arrived_at=99.9), StartSpeech(7), EndSpeech(7))
    given_at = 100.0 + 2 * STEP_S
    assert bench.events() == [
        (
            7,
            Word(
                "w5",
                30 * FRAME_SAMPLES,
                31 * FRAME_SAMPLES,
                WordTiming(99.9, 99.9 + STEP_S, 100.0, given_at, given_at + STEP_S),
            ),
        ),
        (7, Flushed(None)),
    ]


def test_each_track_has_its_own_words_on_its_own_clock_through_handovers() -> None:
    bench = Bench(lanes=1)
    bench.tell(OpenTrack(1, "room", True), OpenTrack(2, "room", True))
    bench.tell(*spurt(1, 10, [1, 2, 3]))
    bench.tell(*spurt(2, 500, [4, 5]))
    bench.tell(*spurt(1, 90, [6]))
    assert bench.words(1) == [("w1", 11), ("w2", 12), ("w3", 13), ("w6", 91)]
    assert bench.words(2) == [("w4", 501), ("w5", 502)]


@pytest.mark.parametrize("feeds_silence", [True, False])
def test_a_lane_that_is_kept_has_the_clock_right_across_flush_and_silence(feeds_silence: bool) -> None:
    bench = Bench(lanes=1, feeds_silence=feeds_silence)
    bench.tell(OpenTrack(1, "room", True), *spurt(1, 0, [1, 2]))
    bench.tell(*(push(1, number) for number in range(3, 40)))
    bench.tell(*spurt(1, 40, [3]))
    bench.tell(*spurt(1, 900, [4]))
    assert bench.words(1) == [("w1", 1), ("w2", 2), ("w3", 41), ("w4", 901)]


@pytest.mark.parametrize(("lanes", "feeds_silence"), [(2, False), (3, True), (2, True)])
def test_of_200_spurts_after_ten_seconds_of_silence_and_a_handover_none_loses_its_first_word(
    lanes: int, feeds_silence: bool
) -> None:
    """Six take turns on two or three lanes: each is silent for ten seconds at least and its lane was another's."""
    policy = LanePolicy(lanes, flush_frames=7, preroll_frames=8, feeds_silence=feeds_silence)
    bench = Bench(lanes, delay_frames=6, policy=policy)
    chance = random.Random(4)
    tracks = range(6)
    bench.tell(*(OpenTrack(track, f"room {track % 2}", True) for track in tracks))
    number, handed_over = 0, 0
    expected: list[tuple[int, str, int]] = []
    for turn in range(200):
        speaker = turn % 6
        words = [chance.randrange(50)]
        words += [(words[0] + n) % 50 for n in range(1, chance.randrange(6, 20))]
        handed_over += not bench.scheduler.holds_lane(speaker)
        expected.append((speaker, f"w{words[0]}", number + 5))
        for at in range(30):
            voiced = spoken_frame(words[at - 5]) if 0 <= at - 5 < len(words) else QUIET
            orders: list[Order] = [push(track, number + at, voiced if track == speaker else QUIET) for track in tracks]
            if at == 6:
                orders.append(StartSpeech(speaker))
            if at == 5 + len(words) + 4:
                orders.append(EndSpeech(speaker))
            bench.clock.now = max(bench.clock.now, 100.0 + (number + at) * FRAME_S)
            bench.tell(*orders)
        number += 30
    said = [(track, e.text, e.start // FRAME_SAMPLES) for track, e in bench.events() if isinstance(e, Word)]
    assert handed_over == 200
    assert len(expected) == 200
    assert [first for first in expected if first not in said] == []


@pytest.mark.parametrize("seed", range(5))
def test_a_lane_that_rests_says_the_same_where_a_front_keeps_its_tracks_silence_back(seed: int) -> None:
    """Three take turns on two lanes that are fed silence: a lane may rest, be woken, and be another's."""
    policy = LanePolicy(2, flush_frames=7, preroll_frames=8, feeds_silence=True)
    alone, behind_a_front = Bench(2, delay_frames=6, policy=policy), Bench(2, delay_frames=6, policy=policy)
    relay = Relay(preroll_frames=8, most_frames=250)
    relay.found()

    def tell(*orders: Order) -> None:
        alone.tell(*orders)
        before = len(behind_a_front.results)
        behind_a_front.tell(*relay.forward(orders)[0])
        for events, _ in behind_a_front.results[before:]:
            relay.said(events)

    chance = random.Random(seed)
    tell(*(OpenTrack(track, "room", True) for track in range(3)))
    number, rested = 0, 0
    for turn in range(60):
        speaker = chance.randrange(3)
        words = [chance.randrange(40) + n for n in range(chance.randrange(2, 12))]
        rested += behind_a_front.scheduler.holds_lane(speaker)
        for at, word in enumerate([None] * chance.randrange(9, 60) + [*words] + [None] * 12):
            for track in range(3):
                spoken = QUIET if word is None or track != speaker else spoken_frame(word)
                tell(push(track, number, spoken))
            if at > 0 and word == words[0]:
                tell(StartSpeech(speaker))
            number += 1
        tell(EndSpeech(speaker, at=(number - 12) * FRAME_SAMPLES), FlushTrack(speaker, f"turn {turn}"))
    assert 20 < rested < 60
    for track in range(3):
        assert behind_a_front.words(track) == alone.words(track)
        flushed, wanted = (
            [e for _, e in bench.events(track) if isinstance(e, Flushed)] for bench in (behind_a_front, alone)
        )
        assert flushed == wanted
    assert sum(report.lanes_stepped for report in behind_a_front.reports()) < sum(
        report.lanes_stepped for report in alone.reports()
    )


def test_more_speakers_than_lanes_all_come_through_late_but_whole() -> None:
    bench = Bench(lanes=2)
    tracks = range(6)
    bench.tell(*(OpenTrack(track, f"room {track}", True) for track in tracks))
    orders = [spurt(track, 10 * track, [8 * track + n for n in range(8)]) for track in tracks]
    bench.tell(*(order for together in zip(*orders, strict=True) for order in together))
    for track in tracks:
        assert bench.words(track) == [(f"w{8 * track + n}", 10 * track + 1 + n) for n in range(8)]
    assert [e for _, e in bench.events() if isinstance(e, Flushed)] == [Flushed(None)] * 6


def test_a_flush_is_answered_behind_the_words_it_bounds() -> None:
    bench = Bench()
    bench.tell(
        *(OpenTrack(1, "room", True), push(1, 0, spoken_frame(1)), StartSpeech(1)),
        *(FlushTrack(1, "first"), push(1, 1, spoken_frame(2)), FlushTrack(1, "second")),
    )
    told = [e.text if isinstance(e, Word) else e for _, e in bench.events()]
    assert told == ["w1", Flushed("first"), "w2", Flushed("second")]


def test_a_flush_of_silence_is_answered_at_once_and_costs_no_step() -> None:
    bench = Bench()
    bench.tell(OpenTrack(1, "room", True))
    steps = len([r for r in bench.reports() if r.step_s is not None])
    bench.tell(FlushTrack(1, "f"))
    assert bench.events() == [(1, Flushed("f"))]
    assert len([r for r in bench.reports() if r.step_s is not None]) == steps


def test_audio_that_is_dropped_is_told_as_a_gap() -> None:
    policy = LanePolicy(1, flush_frames=3, preroll_frames=1, backlog_frames=3)
    bench = Bench(policy=policy)
    bench.tell(
        OpenTrack(1, "room", True), StartSpeech(1), *(push(1, n, spoken_frame(n)) for n in range(5)), EndSpeech(1)
    )
    assert bench.events()[0] == (1, Gap(0, 2 * FRAME_SAMPLES, "overload"))
    assert bench.words(1) == [("w2", 2), ("w3", 3), ("w4", 4)]


def test_a_track_that_never_drops_keeps_everything_and_is_told_how_far_it_is_taken() -> None:
    policy = LanePolicy(1, flush_frames=3, preroll_frames=1, backlog_frames=3)
    bench = Bench(policy=policy)
    bench.tell(OpenTrack(1, "room", False), push(1, 0), push(1, 1))
    assert bench.events() == [(1, Progress(2 * FRAME_SAMPLES))]
    bench.tell(StartSpeech(1), *(push(1, n, spoken_frame(n)) for n in range(2, 12)), EndSpeech(1))
    assert [text for text, _ in bench.words(1)] == [f"w{n}" for n in range(2, 12)]
    assert [e for _, e in bench.events() if isinstance(e, Progress)][-1] == Progress(12 * FRAME_SAMPLES)
    assert [e for _, e in bench.events() if isinstance(e, Gap)] == []


def test_a_file_gives_its_lane_to_who_speaks_and_says_every_word_of_its_own_once() -> None:
    bench = Bench(lanes=1, delay_frames=2)
    bench.tell(OpenTrack(1, "room", False), OpenTrack(2, "room", True))
    bench.runner.submit([RankTrack(1, live=False), *spurt(1, 0, list(range(10, 30)))])
    for _ in range(8):
        bench.runner.turn()
    bench.tell(*spurt(2, 500, [1, 2, 3]))
    assert bench.words(2) == [("w1", 501), ("w2", 502), ("w3", 503)]
    assert bench.words(1) == [(f"w{n}", n - 9) for n in range(10, 30)]
    order = [track for track, event in bench.events() if isinstance(event, Word)]
    assert order[0] == order[-1] == 1, "the file goes on where it was"
    assert [event for _, event in bench.events(1) if isinstance(event, Flushed)] == [Flushed(None)], "it is one spurt"


def test_when_the_model_fails_every_track_is_told_and_every_flush_is_answered() -> None:
    bench = Bench(lanes=1, delay_frames=0)
    bench.tell(OpenTrack(1, "room", True), OpenTrack(2, "room", True), OpenTrack(3, "room", True))
    bench.model.fails = True
    bench.tell(
        *(push(1, 0, spoken_frame(1)), StartSpeech(1), FlushTrack(1, "heard")),
        *(push(2, 0, spoken_frame(2)), StartSpeech(2), FlushTrack(2, "waiting"), FlushTrack(3, "silent")),
    )
    failed = ModelFailed("the device is lost")
    said = bench.events()
    assert said[:3] == [(1, failed), (2, failed), (3, failed)]
    assert sorted(said[3:], key=str) == [(1, Flushed("heard")), (2, Flushed("waiting")), (3, Flushed("silent"))]
    assert bench.runner.failure == "the device is lost"


def test_a_flush_that_closes_on_the_very_step_that_fails_is_answered() -> None:
    bench = Bench(delay_frames=0)
    bench.tell(OpenTrack(1, "room", True))
    bench.runner.submit([push(1, 0, spoken_frame(1)), StartSpeech(1), FlushTrack(1, "f")])
    bench.runner.turn()
    bench.model.fails = True
    bench.runner.turn()
    assert bench.events()[-2:] == [(1, ModelFailed("the device is lost")), (1, Flushed("f"))]


def test_an_error_that_nobody_foresaw_is_the_models_end_too_and_its_text_is_told_to_nobody() -> None:
    bench = Bench(delay_frames=0)
    bench.model.fails = ValueError("what somebody said")
    bench.tell(OpenTrack(1, "room", True), push(1, 0, spoken_frame(1)), StartSpeech(1), FlushTrack(1, "f"))
    failed = ModelFailed("an error that was not foreseen: ValueError")
    assert bench.events() == [(1, failed), (1, Flushed("f"))]


def test_after_a_failure_new_tracks_and_flushes_are_answered_and_audio_is_ignored() -> None:
    bench = Bench()
    bench.model.fails = True
    bench.tell(OpenTrack(1, "room", True), push(1, 0, spoken_frame(1)), StartSpeech(1))
    before = len(bench.events())
    bench.tell(OpenTrack(2, "room", True), FlushTrack(1, "f"), push(2, 0), StartSpeech(2), CloseTrack(1))
    assert bench.events()[before:] == [(2, ModelFailed("the device is lost")), (1, Flushed("f"))]


def test_a_closed_track_is_not_spoken_of_again() -> None:
    bench = Bench()
    bench.tell(OpenTrack(1, "room", True), push(1, 0, spoken_frame(1)), StartSpeech(1))
    bench.tell(CloseTrack(1), push(1, 1), FlushTrack(1, "f"), EndSpeech(1))
    assert bench.events() == []
    assert bench.reports()[-1].lanes_in_use == 0


def test_past_its_bound_the_queue_refuses_audio_and_nothing_else() -> None:
    bench = Bench()
    frames: list[Order] = [push(1, number) for number in range(600)]
    refused = bench.runner.submit([OpenTrack(1, "room", True), *frames, FlushTrack(1, "f"), CloseTrack(9)])
    assert refused == frames[499:]
    while bench.runner.turn():
        pass
    assert bench.events() == [(1, Flushed("f"))]
    assert bench.runner.submit(frames[:1]) == []


def test_a_step_reports_what_it_cost_and_how_full_the_lanes_are() -> None:
    bench = Bench(lanes=3)
    bench.tell(*(OpenTrack(track, "room", True) for track in range(4)))
    bench.runner.submit(
        [order for track in range(4) for order in (push(track, 0, spoken_frame(1)), StartSpeech(track))]
    )
    bench.results.clear()
    bench.runner.turn()
    assert bench.reports() == [
        StepReport(
            step_s=STEP_S,
            lanes_stepped=3,
            lanes_in_use=3,
            lanes_busy=3,
            tracks_waiting=1,
            live_share=1.0,
            lane_waits_s=(0.0, 0.0, 0.0),
            stalled=0,
            strain=0.0,
        )
    ]


@pytest.mark.parametrize(
    ("step_s", "waited_s", "strain"),
    [
        (0.04, [0.04] * 3, 0.5),
        (0.04, [9.0] * 3, 0.5),
        (0.16, [0.08] * 3, 0.25),
        (0.16, [0.32] * 3, 1.0),
        (0.16, [0.0, 0.0, 9.0], 0.0),
        (0.16, [0.0, 9.0, 9.0], 1.0),
    ],
    ids=["in time", "short steps", "long steps", "falling behind", "one catches up", "most fall behind"],
)
def test_the_model_is_strained_where_steps_are_longer_than_frames_and_frames_wait(
    step_s: float, waited_s: list[float], strain: float
) -> None:
    bench = Bench(lanes=3)
    bench.clock.step_s = step_s
    for track, waited in enumerate(waited_s):
        frame = push(track, 0, spoken_frame(1), bench.clock.now - waited)
        bench.runner.submit([OpenTrack(track, "room", True), frame, StartSpeech(track)])
    bench.runner.turn()
    assert bench.reports()[-1].strain == pytest.approx(strain)


def test_files_may_wait_without_straining_the_model() -> None:
    bench = Bench(lanes=1)
    bench.clock.step_s = 0.16
    file: list[Order] = [OpenTrack(0, "room", False), RankTrack(0, live=False), push(0, 0, spoken_frame(1), 0.0)]
    bench.runner.submit([*file, StartSpeech(0)])
    bench.runner.turn()
    assert bench.reports()[-1].strain == 0.0


class Dictated(ScriptedModel):
    """Says what it is told to, step by step."""

    script: list[tuple[LaneOutput, ...]]

    def step(self, batch: Batch) -> list[LaneOutput]:
        super().step(batch)
        return list(self.script.pop(0)) if self.script else []


def test_every_kind_of_event_is_put_on_the_tracks_clock() -> None:
    clock = Clock()
    model = Dictated(1, delay_frames=1, step_work=clock.step)
    at = FRAME_SAMPLES
    model.script = [
        (LaneOutput(0, (LaneTentative((LaneWord("ma", 0, None), LaneWord("be", 10, 20))),)),),
        (LaneOutput(0, (LaneWord("maybe", 0, None), LanePause((0.1, 0.9), False))),),
        (LaneOutput(0, (LaneWordEnd(at + 5), LanePause((0.2, 1.0), True))),),
    ]
    results: list[StepResults] = []
    runner = Runner(model, Scheduler(LanePolicy(1)), results.append, clock)
    runner.submit([OpenTrack(1, "room", True), StartSpeech(1), *(push(1, 50 + n) for n in range(3))])
    while runner.turn():
        pass
    start = 50 * at
    word = Word(
        "maybe", start, start + at, WordTiming(100.0, 100.0, 100.0, 100.0 + STEP_S, 100.0 + 2 * STEP_S), open=True
    )
    assert [event for events, _ in results for event in events] == [
        (1, Tentative((Word("ma", start, start), Word("be", start + 10, start + 20)))),
        (1, word),
        (1, Pause(start + 2 * at, (0.1, 0.9), False)),
        (1, WordEnd(start + at + 5)),
        (1, Pause(start + 3 * at, (0.2, 1.0), True)),
    ]


class Deaf(ScriptedModel):
    """Says nothing until its lane is reset for the second time."""

    resets = 0

    def reset(self, lanes: Sequence[int]) -> None:
        super().reset(lanes)
        self.resets += 1

    def step(self, batch: Batch) -> list[LaneOutput]:
        said = super().step(batch)
        return said if self.resets > 1 else []


def test_a_model_that_falls_silent_is_reset_and_says_all_of_it_once_on_the_right_clock() -> None:
    clock = Clock()
    model = Deaf(1, delay_frames=1, step_work=clock.step)
    results: list[StepResults] = []
    policy = LanePolicy(1, flush_frames=2, preroll_frames=2, stall_frames=6)
    runner = Runner(model, Scheduler(policy), results.append, clock)
    runner.submit([OpenTrack(1, "room", True), StartSpeech(1)])
    runner.submit([*(push(1, 20 + n, spoken_frame(n)) for n in range(10)), EndSpeech(1)])
    while runner.turn():
        pass
    said = [event for events, _ in results for _, event in events]
    assert [(e.text, e.start // FRAME_SAMPLES) for e in said if isinstance(e, Word)] == [
        (f"w{n}", 20 + n) for n in range(10)
    ]
    assert sum(report.stalled for _, report in results if report is not None) == 1
