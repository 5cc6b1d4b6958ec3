"""The listener, turned by hand: what connections tell goes in, orders for the model and news for the connections come
out."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from captions.engine.listener import ROUND_TRACKS, STALL_MARGIN_S, TURN_S, Listener
from captions.engine.orders import (
    Arrived,
    AudioEnded,
    BadAudio,
    CloseTrack,
    EndSpeech,
    FlushAsked,
    FlushTrack,
    HearingEvent,
    Impaired,
    Notice,
    OpenTrack,
    Order,
    PacketArrived,
    PushFrame,
    RankTrack,
    SenderHeld,
    SenderReleased,
    StartSpeech,
    Taken,
    TrackClosed,
    TrackMuted,
    TrackOpened,
    Turn,
)
from captions.stream.chunk_cutter import CHUNK_SPAN
from captions.stream.codec import Codec
from captions.stream.opus import OPUS_CLOCK, OpusEncoder
from captions.stream.timeline import Packet
from captions.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE, Frame, Gap
from captions.vad.gate import GatePolicy, SpurtEnded, SpurtStarted
from captions.vad.silero import SileroVad
from tests.speech import dickens

HANGOVER_S = 0.128
"""Four of the detector's chunks, of which two frames hold five."""

PACKET = 480
"""20 ms, of which four make a frame."""

PATIENCE_S = 30.0


class Loudness(SileroVad):
    """Takes whatever is loud for speech, and remembers what it was asked."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed: list[int] = []
        self.resets: list[int] = []
        self.calls: list[list[int]] = []

    def open(self) -> int:
        self.opened += 1
        return self.opened - 1

    def reset(self, stream: int) -> None:
        self.resets.append(stream)

    def close(self, stream: int) -> None:
        self.closed.append(stream)

    def probabilities(self, streams: Sequence[int], chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        self.calls.append(list(streams))
        return np.asarray(np.abs(chunks).mean(axis=1) > 0.25, np.float32)


@dataclass(frozen=True)
class Pushed:
    """A `PushFrame` without its samples."""

    track: int
    start: int
    arrived_at: float


Outline: TypeAlias = Pushed | Order


class Bench:
    """A listener and the clock it reads."""

    def __init__(
        self,
        vad: SileroVad | None = None,
        *,
        hangover_s: float = HANGOVER_S,
        most_pending_s: float = 20.0,
        skips_silence: bool = True,
    ) -> None:
        self.now = 0.0
        self.vad = Loudness()
        self.turns: queue.Queue[Turn] = queue.Queue()
        self.listener = Listener(
            vad or self.vad,
            GatePolicy(hangover_s=hangover_s),
            self.turns.put,
            lambda: self.now,
            most_pending_s=most_pending_s,
            skips_silence=skips_silence,
            pause_s=0.0,
        )

    def hear(self, *notices: Notice, at: float | None = None) -> Turn:
        self.now = self.now if at is None else at
        for notice in notices:
            self.listener.tell(notice)
        return self.listener.turn()


def opened(track: int = 1, *, drops: bool = True) -> TrackOpened:
    return TrackOpened(track, "room", Codec("pcm_f32le", SAMPLE_RATE), drops)


def said(level: float, samples: int = FRAME_SAMPLES) -> bytes:
    return np.full(samples, level, "<f4").tobytes()


def sounds(track: int, *levels: float, first: int = 0) -> list[Notice]:
    """Frames of constant loudness, each in one packet, the first of them frame number `first`."""
    return [PacketArrived(track, Packet(said(level), (first + n) * FRAME_S)) for n, level in enumerate(levels)]


def loud(track: int, frames: int, first: int = 0) -> list[Notice]:
    return sounds(track, *[0.5] * frames, first=first)


def silent(track: int, frames: int, first: int = 0) -> list[Notice]:
    return sounds(track, *[0.0] * frames, first=first)


def spoken(start_s: float, end_s: float) -> list[Notice]:
    """The reader's voice on track 1, in packets of 20 ms."""
    blocks = dickens(start_s, end_s).astype("<f4").reshape(-1, PACKET)
    return [PacketArrived(1, Packet(block.tobytes(), n / 50)) for n, block in enumerate(blocks)]


def outline(orders: Iterable[Order]) -> list[Outline]:
    return [Pushed(o.track, o.frame.start, o.frame.arrived_at) if isinstance(o, PushFrame) else o for o in orders]


def frames_of(turns: Iterable[Turn]) -> list[Frame]:
    return [order.frame for turn in turns for order in turn.orders if isinstance(order, PushFrame)]


def starts(turn: Turn) -> list[tuple[int, int]]:
    """Of each frame pushed its track and its number on the track's clock."""
    return [(o.track, o.frame.start // FRAME_SAMPLES) for o in turn.orders if isinstance(o, PushFrame)]


def news(turn: Turn, track: int = 1) -> list[HearingEvent]:
    """What a track is told, but for the arrivals."""
    return [heard for to, heard in turn.heard if to == track and not isinstance(heard, Arrived)]


class Mark(NamedTuple):
    """Where a packet lies and when it came."""

    start: int
    end: int
    at: float
    captured_at: float | None = None


def marks(arrived: Arrived) -> list[Mark]:
    return [
        Mark(one.start, one.start + one.samples, one.packet.arrived_at, one.packet.captured_at)
        for one in arrived.packets
    ]


def arrivals(turn: Turn, track: int = 1) -> list[Mark]:
    return [mark for to, heard in turn.heard if to == track and isinstance(heard, Arrived) for mark in marks(heard)]


def told(turn: Turn) -> list[tuple[int, HearingEvent | list[Mark]]]:
    """What all tracks are told, arrivals as marks."""
    return [(track, marks(event) if isinstance(event, Arrived) else event) for track, event in turn.heard]


def taken(turns: Iterable[Turn]) -> int:
    return sum(heard.samples for turn in turns for heard in news(turn) if isinstance(heard, Taken))


# One track


def test_a_track_is_told_to_the_model_and_to_its_connection_in_the_order_in_which_it_was_heard() -> None:
    bench = Bench()
    turn = bench.hear(opened(), *loud(1, 2), *silent(1, 2, first=2), FlushAsked(1, "f"))
    closed = bench.hear(TrackClosed(1))
    frame = FRAME_SAMPLES
    assert outline(turn.orders) == [
        OpenTrack(1, "room", drops=True),
        Pushed(1, 0, 0.0),
        StartSpeech(1),
        Pushed(1, frame, FRAME_S),
        Pushed(1, 2 * frame, 2 * FRAME_S),
        Pushed(1, 3 * frame, 3 * FRAME_S),
        EndSpeech(1, at=2 * frame),
        FlushTrack(1, "f"),
    ]
    assert closed.orders == [CloseTrack(1)]
    assert told(turn) == [
        (1, [Mark(0, frame, 0.0)]),
        (1, SpurtStarted(0)),
        (1, [Mark(frame, 2 * frame, FRAME_S)]),
        (1, [Mark(2 * frame, 3 * frame, 2 * FRAME_S)]),
        (1, [Mark(3 * frame, 4 * frame, 3 * FRAME_S)]),
        (1, SpurtEnded(2 * frame)),
    ]


def test_a_turn_of_which_nothing_came_is_empty() -> None:
    bench = Bench()
    assert bench.hear() == Turn([], [])
    bench.hear(opened())
    assert bench.hear() == Turn([], [])


def test_a_frame_is_the_audio_of_its_packets() -> None:
    bench = Bench()
    levels = (0.1, 0.2, 0.3, 0.4)
    turn = bench.hear(opened(), *(PacketArrived(1, Packet(said(level, PACKET), 0.0)) for level in levels))
    (frame,) = frames_of([turn])
    np.testing.assert_array_equal(frame.pcm, np.repeat(np.array(levels, np.float32), PACKET))


def test_real_speech_is_a_spurt_from_its_first_sound_to_its_last() -> None:
    turn = Bench(SileroVad(), hangover_s=0.4).hear(opened(), *spoken(0.0, 8.8))
    started, ended = news(turn)
    assert isinstance(started, SpurtStarted)
    assert isinstance(ended, SpurtEnded)
    assert (started.at / SAMPLE_RATE, ended.at / SAMPLE_RATE) == pytest.approx((1.2, 8.2), abs=0.15)


@pytest.mark.parametrize("packets_a_turn", [1, 7, 100])
def test_however_many_packets_a_turn_takes_a_track_is_heard_the_same(packets_a_turn: int) -> None:
    packets = spoken(0.0, 9.2)
    whole = Bench(SileroVad()).hear(opened(), *packets)
    bench = Bench(SileroVad())
    turns = [bench.hear(opened())]
    turns += [bench.hear(*packets[at : at + packets_a_turn]) for at in range(0, len(packets), packets_a_turn)]
    assert outline(order for turn in turns for order in turn.orders) == outline(whole.orders)
    assert [event for turn in turns for event in news(turn)] == news(whole)
    assert [mark for turn in turns for mark in arrivals(turn)] == arrivals(whole)


def test_silence_is_neither_decoded_nor_pushed_after_half_a_second_unless_told_to() -> None:
    sleeps, listens = Bench(), Bench(skips_silence=False)
    heard = [bench.hear(opened(), *silent(1, 50)) for bench in (sleeps, listens)]
    assert [len(frames_of([turn])) for turn in heard] == [6, 50]
    assert [len(arrivals(turn)) for turn in heard] == [6, 50]


def test_real_speech_has_the_same_spurts_whether_silence_is_skipped_or_decoded() -> None:
    """The reader's pauses are short sleeps; five seconds of room noise between two readings are a long one."""
    speech = dickens(0.0, 25.6, OPUS_CLOCK)
    room_noise = np.random.default_rng(0).normal(0, 2e-4, 5 * OPUS_CLOCK).astype(np.float32)
    encoder = OpusEncoder()
    blocks = np.concatenate([speech, room_noise, speech]).reshape(-1, OPUS_CLOCK // 50)
    packets = [PacketArrived(1, Packet(encoder.encode(block), n / 50)) for n, block in enumerate(blocks)]

    def heard(*, skips_silence: bool) -> tuple[list[HearingEvent], int]:
        bench = Bench(SileroVad(), hangover_s=0.4, skips_silence=skips_silence)
        bench.hear(TrackOpened(1, "room", Codec("opus", OPUS_CLOCK, 1), drops=True))
        turns = [bench.hear(packet) for packet in packets]
        return [spurt for turn in turns for spurt in news(turn)], len(frames_of(turns))

    skipped, frames_skipped = heard(skips_silence=True)
    whole, frames_whole = heard(skips_silence=False)
    assert skipped == whole
    assert len(whole) > 20
    assert frames_skipped < frames_whole - 30


def test_a_voice_that_ended_does_not_make_the_detector_hear_another() -> None:
    bench = Bench()
    bench.hear(opened(), *loud(1, 2))
    assert bench.vad.resets == []
    assert news(bench.hear(*silent(1, 2, first=2))) == [SpurtEnded(2 * FRAME_SAMPLES)]
    assert bench.vad.resets == [0]


def test_silence_nobody_sent_ends_the_spurt_where_the_voice_ended() -> None:
    bench = Bench()
    bench.hear(
        opened(), *(PacketArrived(1, Packet(said(0.5), n * FRAME_S, None, n, n * FRAME_SAMPLES)) for n in range(4))
    )
    turn = bench.hear(PacketArrived(1, Packet(said(0.0), 5.0, None, 4, 5 * SAMPLE_RATE)))
    (ended,) = news(turn)
    assert isinstance(ended, SpurtEnded)
    assert abs(ended.at - 4 * FRAME_SAMPLES) < CHUNK_SPAN


# Flush, finish, mute


def test_a_flush_finishes_the_frame_under_way_and_the_clock_goes_on_where_the_audio_ended() -> None:
    bench = Bench()
    bench.hear(opened(), PacketArrived(1, Packet(said(0.5, 3 * PACKET), 1.0)))
    turn = bench.hear(FlushAsked(1, "f"), at=2.0)
    assert outline(turn.orders) == [Pushed(1, 0, 2.0), FlushTrack(1, "f")]
    (frame,) = frames_of([turn])
    assert (frame.pcm[: 3 * PACKET] == 0.5).all()
    assert not frame.pcm[3 * PACKET :].any()
    later = bench.hear(PacketArrived(1, Packet(said(0.0), 3.0)))
    assert outline(later.orders) == [Pushed(1, 3 * PACKET, 3.0), StartSpeech(1)], "the detector heard it, too"


def test_a_flush_behind_a_whole_frame_adds_no_silence_and_does_not_end_the_spurt() -> None:
    bench = Bench()
    turn = bench.hear(opened(), *loud(1, 2), FlushAsked(1, "f"))
    assert outline(turn.orders)[-2:] == [Pushed(1, FRAME_SAMPLES, FRAME_S), FlushTrack(1, "f")]
    assert news(turn) == [SpurtStarted(0)]


def test_flushes_and_audio_of_one_turn_keep_their_order() -> None:
    turn = Bench().hear(
        opened(), FlushAsked(1, "a"), *loud(1, 1), FlushAsked(1, "b"), FlushAsked(1, "c"), *loud(1, 1, first=1)
    )
    assert outline(turn.orders) == [
        OpenTrack(1, "room", drops=True),
        FlushTrack(1, "a"),
        Pushed(1, 0, 0.0),
        StartSpeech(1),
        FlushTrack(1, "b"),
        FlushTrack(1, "c"),
        Pushed(1, FRAME_SAMPLES, FRAME_S),
    ]


def test_finishing_pushes_what_there_is_ends_the_spurt_where_the_audio_ended_and_flushes() -> None:
    bench = Bench()
    bench.hear(opened(), *loud(1, 2), PacketArrived(1, Packet(said(0.5, PACKET), 0.2)))
    turn = bench.hear(AudioEnded(1, "end"), at=9.0)
    audio_end = 2 * FRAME_SAMPLES + PACKET
    assert outline(turn.orders) == [
        Pushed(1, 2 * FRAME_SAMPLES, 9.0),
        EndSpeech(1, at=audio_end),
        FlushTrack(1, "end"),
    ]
    assert turn.heard == [(1, SpurtEnded(audio_end))]


def test_finishing_in_silence_is_a_flush() -> None:
    bench = Bench()
    bench.hear(opened(), *silent(1, 2))
    assert bench.hear(AudioEnded(1, "end")) == Turn([FlushTrack(1, "end")], [])


def test_muting_ends_the_spurt_where_the_audio_ended_and_leaves_the_frame_under_way() -> None:
    bench = Bench()
    bench.hear(opened(), *loud(1, 2), PacketArrived(1, Packet(said(0.5, PACKET), 0.2)))
    audio_end = 2 * FRAME_SAMPLES + PACKET
    assert bench.hear(TrackMuted(1)) == Turn([EndSpeech(1, at=audio_end)], [(1, SpurtEnded(audio_end))])
    assert bench.hear(TrackMuted(1)) == Turn([], [])


def test_muting_in_the_hangover_ends_the_spurt_where_the_voice_fell() -> None:
    bench = Bench()
    bench.hear(opened(), *loud(1, 2), *silent(1, 1, first=2))
    assert bench.hear(TrackMuted(1)) == Turn([EndSpeech(1, 2 * FRAME_SAMPLES)], [(1, SpurtEnded(2 * FRAME_SAMPLES))])


def test_speech_behind_a_mute_is_a_new_spurt_to_a_detector_that_starts_afresh() -> None:
    bench = Bench()
    bench.hear(opened(), *loud(1, 2))
    assert bench.vad.resets == []
    turn = bench.hear(TrackMuted(1), *silent(1, 2, first=2), *loud(1, 2, first=4))
    assert bench.vad.resets == [0]
    assert news(turn) == [SpurtEnded(2 * FRAME_SAMPLES), SpurtStarted(4 * FRAME_SAMPLES)]


# Tracks from which nothing comes any more


def test_a_track_from_which_nothing_comes_in_mid_spurt_is_ended_after_the_hangover_and_a_margin() -> None:
    bench = Bench()
    bench.hear(opened(), *loud(1, 3))
    stalled_at = 2 * FRAME_S + HANGOVER_S + STALL_MARGIN_S
    assert bench.hear(at=stalled_at - 0.001) == Turn([], [])
    end = 3 * FRAME_SAMPLES
    assert bench.hear(at=stalled_at + 0.001) == Turn([EndSpeech(1, at=end)], [(1, SpurtEnded(end))])
    assert bench.hear(at=stalled_at + 100.0) == Turn([], [])


def test_a_track_that_is_held_back_is_not_taken_to_have_ended_until_it_is_let_go() -> None:
    bench = Bench()
    bench.hear(opened(drops=False), *loud(1, 3), SenderHeld(1))
    assert bench.hear(at=100.0) == Turn([], [])
    assert news(bench.hear(SenderReleased(1))) == [SpurtEnded(3 * FRAME_SAMPLES)]


def test_a_silent_track_from_which_nothing_comes_is_left_alone() -> None:
    bench = Bench()
    bench.hear(opened(), *silent(1, 3))
    assert bench.hear(at=100.0) == Turn([], [])


def test_a_track_that_stalls_does_not_end_the_spurt_of_one_that_goes_on() -> None:
    bench = Bench()
    bench.hear(opened(1), opened(2), *loud(1, 3), *loud(2, 3))
    turn = bench.hear(*loud(2, 1, first=10), at=10 * FRAME_S)
    assert (news(turn, 1), news(turn, 2)) == ([SpurtEnded(3 * FRAME_SAMPLES)], [])


def test_a_track_that_stalled_and_comes_back_speaking_has_a_new_spurt() -> None:
    bench = Bench()
    bench.hear(opened(), *loud(1, 2))
    bench.hear(at=10.0)
    assert news(bench.hear(*silent(1, 2, first=125), *loud(1, 2, first=127))) == [SpurtStarted(4 * FRAME_SAMPLES)]


# Who gives way


class Slow(Loudness):
    """Costs as much time of `bench` as it is told, for every track it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.costs_s = 0.0
        self.bench: Bench | None = None

    def probabilities(self, streams: Sequence[int], chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        assert self.bench is not None
        self.bench.now += self.costs_s * len(streams)
        return super().probabilities(streams, chunks)


def slow(costs_s: float, **settings: Any) -> Bench:
    """A listener that needs so many seconds for a chunk of one track."""
    vad = Slow()
    vad.costs_s = costs_s
    vad.bench = Bench(vad, **settings)
    vad.bench.vad = vad
    return vad.bench


def test_a_turn_ends_with_the_round_in_which_its_time_is_over_and_the_next_goes_on() -> None:
    bench = slow(TURN_S)
    turn = bench.hear(opened(), *loud(1, 5))
    assert starts(turn) == [(1, 0)]
    assert bench.listener.has_rest
    turns = [bench.listener.turn() for _ in range(5)]
    assert [starts(turn) for turn in turns] == [*([(1, n)] for n in range(1, 5)), []]
    assert not bench.listener.has_rest


def test_a_burst_of_many_tracks_does_not_hold_up_who_sends_in_time() -> None:
    """50 tracks give 20 s of audio at once. The bystander's frames come every 80 ms, and cost no more than the round in
    which they came.
    """
    bench = slow(0.0005)
    crowd = range(2, 52)
    bench.hear(opened(1), *(opened(track) for track in crowd))
    bench.hear(*(one for track in crowd for one in loud(track, 250)))
    for number in range(50):
        began_at = bench.now
        turns: list[Turn] = []
        while (1, number) not in [one for turn in turns for one in starts(turn)]:
            turns.append(bench.hear(*(loud(1, 1, first=number) if not turns else []), at=bench.now))
            assert bench.now - began_at <= 0.08
        bench.now = max(bench.now, began_at + FRAME_S)


def test_in_a_turn_that_is_too_short_connections_take_turns_and_rooms_within_them() -> None:
    bench = slow(TURN_S / ROUND_TRACKS)
    many = [TrackOpened(n, f"room {n % 2}", Codec("pcm_f32le", SAMPLE_RATE), True, source=1) for n in range(200)]
    few = [TrackOpened(n, "room", Codec("pcm_f32le", SAMPLE_RATE), True, source=2) for n in range(200, 210)]
    bench.hear(*many, *few)
    turn = bench.hear(*(one for track in [*many, *few] for one in loud(track.track, 1)))
    heard = [track for track, _ in starts(turn)]
    assert len(heard) == ROUND_TRACKS
    assert set(heard) >= {track.track for track in few}
    assert [track % 2 for track in heard if track < 200] == [0, 1] * 27


def test_it_knows_how_long_audio_waited_even_what_is_left_for_the_next_turn() -> None:
    bench = slow(0.05)
    bench.hear(*(opened(track) for track in range(4)))
    for number in range(100):
        bench.now = max(bench.now, number * FRAME_S)
        bench.hear(*(one for track in range(4) for one in loud(track, 1, first=number)))
    assert bench.listener.lateness.recent(bench.now) > 2.0, "it falls behind by 120 ms with each frame"


def test_what_comes_ahead_of_its_time_is_not_heard_late() -> None:
    bench = slow(0.01)
    bench.hear(opened(), *burst(1, 100, 0.0))
    while bench.listener.has_rest:
        bench.hear()
    assert bench.listener.lateness.recent(bench.now) < 0.05


def test_of_a_burst_only_what_is_past_its_time_is_late() -> None:
    """Each of 100 tracks gives a second at once. It takes a little longer to hear, none of it long past its time."""
    bench = slow(0.00036)
    crowd = range(100)
    bench.hear(*(opened(track) for track in crowd))
    bench.hear(*(one for track in crowd for one in burst(track, 12, 0.0)))
    while bench.listener.has_rest:
        bench.hear()
    assert bench.now > 0.8
    assert bench.listener.lateness.recent(bench.now) < 0.1


def ranks(*turns: Turn) -> list[RankTrack]:
    return [order for turn in turns for order in turn.orders if isinstance(order, RankTrack)]


def test_a_track_that_is_ahead_of_its_time_is_a_file_and_goes_behind_the_others_until_it_is_no_longer() -> None:
    bench = Bench()
    turn = bench.hear(opened(1, drops=False), opened(2), *burst(1, 60, 0.0))
    assert ranks(turn) == [RankTrack(1, live=False)]
    turn = bench.hear(*burst(1, 2, 0.1), *burst(2, 3, 0.1), at=0.1)
    assert starts(turn) == [(2, 0), (2, 1), (2, 2), (1, 60), (1, 61)]
    assert ranks(turn) == []


def burst(track: int, frames: int, at: float) -> list[Notice]:
    """So many frames that came at one moment."""
    return [PacketArrived(track, Packet(said(0.5), at)) for _ in range(frames)]


def test_who_speaks_is_live_though_nothing_of_it_may_be_dropped() -> None:
    """As La Suite's plugin does, and as any client after a network that stood still for a second and a half."""
    bench = Bench()
    turns = [bench.hear(opened(drops=False))]
    turns += [bench.hear(*burst(1, 1, n * FRAME_S), at=n * FRAME_S) for n in range(50)]
    turns += [bench.hear(*burst(1, 18, 68 * FRAME_S), at=68 * FRAME_S)]
    assert ranks(*turns) == []


def test_a_file_whose_sender_begins_to_speak_is_live_again() -> None:
    bench = Bench()
    turns = [bench.hear(opened(drops=False), *burst(1, 30, 0.0))]
    turns += [bench.hear(*burst(1, 1, n * FRAME_S), at=n * FRAME_S) for n in range(30, 40)]
    assert ranks(*turns) == [RankTrack(1, live=False), RankTrack(1, live=True)]


def test_a_live_flood_is_no_file_but_what_it_sent_too_early_waits_for_what_others_say() -> None:
    bench = slow(TURN_S)
    bench.hear(opened(1), opened(2), *burst(1, 10, 0.0))
    turns = [bench.hear(*burst(2, 1, bench.now)), bench.listener.turn()]
    assert (2, 0) in [one for turn in turns for one in starts(turn)]
    assert ranks(*turns) == []


def test_what_has_waited_too_long_is_dropped_oldest_first_and_told() -> None:
    bench = slow(TURN_S, most_pending_s=2.0)
    turn = bench.hear(opened(), *loud(1, 5))
    assert starts(turn) == [(1, 0)]
    turn = bench.hear(at=2.0 + 2.5 * FRAME_S)
    assert starts(turn) == [(1, 3)]
    assert [one for one in news(turn) if isinstance(one, Gap)] == [Gap(FRAME_SAMPLES, 3 * FRAME_SAMPLES, "overload")]


def test_nothing_is_dropped_of_a_track_whose_sender_can_wait() -> None:
    bench = slow(TURN_S, most_pending_s=2.0)
    bench.hear(opened(drops=False), *loud(1, 3))
    turns = [bench.hear(at=3.0), bench.listener.turn()]
    assert [starts(turn) for turn in turns] == [[(1, 1)], [(1, 2)]]


def test_what_is_dropped_resets_the_detector() -> None:
    bench = slow(TURN_S, most_pending_s=2.0)
    bench.hear(opened(), *loud(1, 50))
    assert bench.vad.resets == []
    bench.hear(at=3.0)
    assert bench.vad.resets == [0]


def test_a_flush_and_an_end_wait_for_the_audio_before_them_and_what_comes_behind_them_too() -> None:
    bench = slow(TURN_S)
    turns = [
        bench.hear(opened(), *loud(1, 2), FlushAsked(1, "f"), *loud(1, 1, first=2), TrackMuted(1), AudioEnded(1, "end"))
    ]
    while bench.listener.has_rest:
        turns.append(bench.listener.turn())
    assert outline(order for turn in turns for order in turn.orders) == [
        OpenTrack(1, "room", drops=True),
        Pushed(1, 0, 0.0),
        StartSpeech(1),
        Pushed(1, FRAME_SAMPLES, FRAME_S),
        FlushTrack(1, "f"),
        Pushed(1, 2 * FRAME_SAMPLES, 2 * FRAME_S),
        EndSpeech(1, at=3 * FRAME_SAMPLES),
        FlushTrack(1, "end"),
    ]


def test_a_track_that_is_closed_leaves_nothing_behind() -> None:
    bench = slow(TURN_S)
    bench.hear(opened(), *loud(1, 3), FlushAsked(1, "f"))
    turn = bench.hear(TrackClosed(1))
    assert outline(turn.orders) == [CloseTrack(1)]
    assert not bench.listener.has_rest


def test_a_spurt_whose_audio_waits_is_no_stalled_one() -> None:
    bench = slow(TURN_S)
    turn = bench.hear(opened(), *loud(1, 2))
    assert news(turn) == [SpurtStarted(0)]
    assert [one for one in news(bench.hear(at=5.0)) if isinstance(one, SpurtEnded)] == []


def test_bytes_that_wait_are_counted_from_the_telling_to_the_taking() -> None:
    bench = slow(TURN_S)
    size = 4 * FRAME_SAMPLES
    bench.hear(opened())
    assert bench.listener.pending_bytes(0) == 0
    assert bench.listener.pending_bytes(3 * size) == 3 * size
    bench.hear(*loud(1, 3))
    assert bench.listener.pending_bytes(3 * size) == 2 * size
    bench.listener.turn()
    bench.listener.turn()
    assert bench.listener.pending_bytes(3 * size) == 0


def test_a_flood_of_a_track_that_does_not_drop_is_heard_whole_and_told_as_it_is_taken() -> None:
    bench = Bench()
    turn = bench.hear(opened(drops=False), *loud(1, 4))
    frame = FRAME_SAMPLES
    assert turn.orders[0] == OpenTrack(1, "room", drops=False)
    assert starts(turn) == [(1, 0), (1, 1), (1, 2), (1, 3)]
    assert news(turn) == [
        Taken(frame, frame, pushed_to=frame),
        SpurtStarted(0),
        Taken(frame, frame, pushed_to=2 * frame),
        Taken(frame, frame, pushed_to=3 * frame),
        Taken(frame, frame, pushed_to=4 * frame),
    ]


def test_of_a_packet_that_fills_no_frame_what_was_taken_is_told_at_once() -> None:
    turn = Bench().hear(opened(drops=False), PacketArrived(1, Packet(said(0.5, PACKET), 0.0)))
    assert news(turn) == [Taken(PACKET, PACKET, pushed_to=0)]


def test_what_is_taken_adds_up_to_all_that_was_sent_whatever_became_of_it() -> None:
    """HearingEvent, late, repeated, restarted, damaged or slept through."""
    numbers = [0, 1, 2, 2, 5, 5, 4, 3, *range(6, 60), 10, 58, *range(61, 70), *range(30_000, 30_010)]
    packets = [Packet(said(0.5, PACKET), n / 50, None, n, n * PACKET) for n in numbers]
    packets += [Packet(said(np.nan, PACKET), n / 50, None, n, n * PACKET) for n in range(30_010, 30_020)]
    packets += [Packet(said(0.0, PACKET), n / 50, None, n, n * PACKET) for n in range(30_020, 30_100)]
    bench = Bench()
    turns = [bench.hear(opened(drops=False))]
    turns += [bench.hear(PacketArrived(1, packet)) for packet in packets]
    assert taken(turns) == len(packets) * PACKET


def test_a_track_that_drops_is_not_told_what_was_taken() -> None:
    bench = Bench()
    assert taken([bench.hear(opened(), *loud(1, 2), *silent(1, 20, first=2))]) == 0


# What a network and a sender spoil


def test_what_is_no_audio_is_told_and_the_track_goes_on() -> None:
    damaged = PacketArrived(1, Packet(b"abc", 0.08))
    turn = Bench().hear(opened(), *loud(1, 1), damaged, *loud(1, 2, first=2))
    assert starts(turn) == [(1, 0), (1, 1), (1, 2)]
    assert news(turn) == [SpurtStarted(0), BadAudio("3 bytes are not a whole number of 4-byte samples")]


def test_bad_audio_of_one_track_is_told_to_no_other() -> None:
    turn = Bench().hear(opened(1), opened(2), PacketArrived(1, Packet(b"abc", 0.0)), *loud(2, 1))
    assert news(turn, 1) == [BadAudio("3 bytes are not a whole number of 4-byte samples")]
    assert news(turn, 2) == [SpurtStarted(0)]


def opus_packets(count: int) -> list[Packet]:
    encoder = OpusEncoder()
    speech = dickens(1.4, 1.4 + count / 50, OPUS_CLOCK).reshape(count, -1)
    return [
        Packet(encoder.encode(pcm), n / 50, None, (65_530 + n) & 0xFFFF, (n * 960 - 2_000) & 0xFFFF_FFFF)
        for n, pcm in enumerate(speech)
    ]


def hear_opus(packets: Iterable[Packet]) -> list[Turn]:
    """A turn a packet."""
    bench = Bench()
    bench.hear(TrackOpened(1, "room", Codec("opus", OPUS_CLOCK, 1), drops=True))
    return [bench.hear(PacketArrived(1, packet)) for packet in packets]


def impairments(turns: Iterable[Turn]) -> list[HearingEvent]:
    return [heard for turn in turns for heard in news(turn) if isinstance(heard, Impaired)]


def test_late_repeated_and_lost_packets_are_told_once_with_the_next_frame() -> None:
    packets = opus_packets(28)
    order = [0, 1, 2, 3, 4, 6, 6, 7, 8, 9, *range(10, 16), 5, 4, *range(16, 28)]
    turns = hear_opus(packets[n] for n in order)
    assert impairments(turns) == [Impaired(late=0, repeated=1, concealed=PACKET), Impaired(1, 1, 0)]
    assert [frame.start for frame in frames_of(turns)] == [n * FRAME_SAMPLES for n in range(7)]


def test_packets_out_of_order_and_all_there_are_no_impairment() -> None:
    packets = opus_packets(12)
    turns = hear_opus(packets[n] for n in (0, 2, 1, 3, 6, 5, 4, 7, 8, 9, 11, 10))
    assert impairments(turns) == []
    assert [frame.start for frame in frames_of(turns)] == [0, FRAME_SAMPLES, 2 * FRAME_SAMPLES]


def test_more_loss_than_can_be_concealed_is_told_as_a_gap() -> None:
    turns = hear_opus(packet for n, packet in enumerate(opus_packets(28)) if not 4 <= n < 16)
    assert impairments(turns) == []
    assert [heard for turn in turns for heard in news(turn) if isinstance(heard, Gap)] == [
        Gap(4 * PACKET, 16 * PACKET, "loss")
    ]


def test_a_damaged_opus_packet_is_told_and_covered_up_and_the_clock_goes_on() -> None:
    packets = opus_packets(8)
    head = packets[2].data[0] | 3
    damaged = Packet(bytes([head, 0x01]) + b"\xff" * 1_300, 0.04, None, packets[2].seq, packets[2].timestamp)
    turns = hear_opus([*packets[:2], damaged, *packets[3:]])
    assert [heard for turn in turns for heard in news(turn)] == [BadAudio("not an Opus packet (libopus error -4)")]
    assert [frame.start for frame in frames_of(turns)] == [0, FRAME_SAMPLES]


# Arrivals


def test_arrivals_cover_the_audio_and_carry_the_moments_of_its_packets() -> None:
    turn = Bench().hear(
        TrackOpened(1, "room", Codec("pcm_s16le", 16_000, 2), drops=True),
        PacketArrived(1, Packet(np.full(2 * 320, 9_000, "<i2").tobytes(), 5.0, captured_at=70.0)),
        PacketArrived(1, Packet(np.full(2 * 160, 9_000, "<i2").tobytes(), 5.25, captured_at=70.02)),
        PacketArrived(1, Packet(np.full(2 * 1, 9_000, "<i2").tobytes(), 5.5)),
        PacketArrived(1, Packet(np.full(2 * 1, 9_000, "<i2").tobytes(), 5.75)),
    )
    assert told(turn) == [
        (1, [Mark(0, 480, 5.0, 70.0), Mark(480, 720, 5.25, 70.02), Mark(720, 721, 5.5), Mark(721, 723, 5.75)])
    ]


def test_arrivals_of_a_stream_that_lost_nothing_have_no_gap_between_them() -> None:
    marked = [arrived for turn in hear_opus(opus_packets(50)) for arrived in arrivals(turn)]
    assert (marked[0].start, marked[-1].end) == (0, 50 * PACKET)
    assert all(before.end == after.start for before, after in pairwise(marked))


def test_a_voice_that_wakes_its_track_has_arrivals_from_the_second_before() -> None:
    bench = Bench()
    bench.hear(opened(), *silent(1, 50))
    marked = arrivals(bench.hear(*loud(1, 1, first=50)))
    assert (marked[0].start, marked[-1].end) == (39 * FRAME_SAMPLES, 51 * FRAME_SAMPLES)
    assert all(before.end == after.start for before, after in pairwise(marked))


# Several tracks


def rtp(seq: int, at_s: float, level: float) -> PacketArrived:
    """20 ms with a sequence number, sent at that moment."""
    return PacketArrived(1, Packet(said(level, PACKET), at_s, None, seq, round(at_s * 24_000)))


def spurts(*turns: Turn) -> list[SpurtStarted | SpurtEnded]:
    return [one for turn in turns for one in news(turn) if isinstance(one, SpurtStarted | SpurtEnded)]


def test_a_voice_after_a_long_dtx_is_heard_where_it_was() -> None:
    bench = Bench()
    quiet = [rtp(n, n / 50, 0.0) for n in range(50)]
    comfort = [rtp(50 + n, 1.0 + 0.4 * n, 0.0) for n in range(25)]
    turn = bench.hear(opened(), *quiet, *comfort, *[rtp(75 + n, 11.0 + n / 50, 0.5) for n in range(20)])
    (started,) = spurts(turn)
    assert isinstance(started, SpurtStarted)
    assert abs(started.at - 11 * 24_000) <= CHUNK_SPAN
    assert arrivals(turn)[-1].end == round(11.4 * 24_000)


def test_packets_lost_while_a_track_sleeps_are_told() -> None:
    bench = Bench()
    bench.hear(opened())
    turns = [bench.hear(rtp(n, n / 50, 0.0)) for n in range(100)]
    turns += [bench.hear(rtp(n, n / 50, 0.5)) for n in range(200, 220)]
    assert [one for turn in turns for one in news(turn) if isinstance(one, Gap)] == [Gap(48_000, 96_000, "loss")]
    assert spurts(*turns) == [SpurtStarted(96_000)]


def test_a_track_that_has_just_woken_up_loses_what_waited_too_long_and_keeps_its_clock() -> None:
    bench = Bench(most_pending_s=2.0)
    bench.hear(opened())
    for number in range(100):
        bench.hear(rtp(number, number / 50, 0.0), at=number / 50)
    turn = bench.hear(*[rtp(number, number / 50, 0.5) for number in range(100, 250)], at=5.5)
    gaps = [one for one in news(turn) if isinstance(one, Gap)]
    assert all(one.end == other.start for one, other in pairwise(gaps))
    assert gaps[-1].end == arrivals(turn)[0].start == 3.5 * 24_000
    assert arrivals(turn)[-1].end == 5 * 24_000


def test_flushes_in_mid_frame_do_not_move_what_the_detector_hears() -> None:
    bench = Bench()
    bench.hear(opened())
    for number in range(20):
        bench.hear(PacketArrived(1, Packet(said(0.0, PACKET), number / 50)), FlushAsked(1, "f"))
    starts_at, ends_at = [one.at for one in spurts(bench.hear(*loud(1, 4), *silent(1, 4)))]
    assert abs(starts_at - 20 * PACKET) <= CHUNK_SPAN
    assert abs(ends_at - (20 * PACKET + 4 * FRAME_SAMPLES)) <= CHUNK_SPAN


def test_at_the_end_what_waits_for_a_lost_packet_is_heard() -> None:
    packets = [rtp(seq, seq / 50, 0.5) for seq in (0, 1, 2, 4, 5, 6)]
    turn = Bench().hear(opened(drops=False), *packets, AudioEnded(1, "x"))
    assert taken([turn]) == 6 * PACKET
    assert frames_of([turn])[-1].end >= 7 * PACKET


@pytest.mark.parametrize(
    "notice",
    [*loud(9, 1), TrackMuted(9), FlushAsked(9, "f"), AudioEnded(9, "f"), TrackClosed(9)],
    ids=lambda n: type(n).__name__,
)
def test_tracks_that_are_closed_or_never_were_are_ignored(notice: Notice) -> None:
    never, closed = Bench(), Bench()
    never.hear(opened(1))
    assert never.hear(notice) == Turn([], [])
    closed.hear(opened(9), *loud(9, 2), TrackClosed(9))
    assert closed.hear(notice, at=100.0) == Turn([], [])
    assert closed.vad.closed == [0]


def test_the_tracks_of_a_round_share_the_detectors_calls() -> None:
    bench = Bench()
    bench.hear(*map(opened, (1, 2, 3)))
    turn = bench.hear(*loud(1, 2), *loud(2, 2), *loud(3, 1))
    assert starts(turn) == [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1)]
    together, rest = [0, 1, 2], [0, 1]
    assert bench.vad.calls[:2] == [together] * 2, "a frame holds two chunks, and half of one"
    assert bench.vad.calls[2:] == [rest] * (len(bench.vad.calls) - 2)
    assert len(bench.vad.calls) in (4, 5), "the resampler may hold back the last chunk"


def test_each_track_has_its_own_spurts() -> None:
    bench = Bench()
    bench.hear(*map(opened, (1, 2)))
    turn = bench.hear(*loud(1, 2), *silent(1, 2, first=2), *silent(2, 2), *loud(2, 2, first=2))
    frame = FRAME_SAMPLES
    assert (news(turn, 1), news(turn, 2)) == ([SpurtStarted(0), SpurtEnded(2 * frame)], [SpurtStarted(2 * frame)])
    assert [order for order in turn.orders if isinstance(order, StartSpeech | EndSpeech)] == [
        StartSpeech(1),
        StartSpeech(2),
        EndSpeech(1, at=2 * frame),
    ]


# The thread


def test_the_thread_delivers_what_it_is_told_and_ends_a_stalled_spurt_by_itself() -> None:
    bench = Bench()
    bench.listener.start()
    for notice in (opened(), *loud(1, 2)):
        bench.listener.tell(notice)
    heard: list[HearingEvent | list[Mark]] = []
    while SpurtStarted(0) not in heard or len(heard) < 3:
        heard += [event for _, event in told(bench.turns.get(timeout=PATIENCE_S))]
    assert heard == [
        [Mark(0, FRAME_SAMPLES, 0.0)],
        SpurtStarted(0),
        [Mark(FRAME_SAMPLES, 2 * FRAME_SAMPLES, FRAME_S)],
    ]
    bench.now = 100.0
    end = 2 * FRAME_SAMPLES
    assert bench.turns.get(timeout=PATIENCE_S) == Turn([EndSpeech(1, at=end)], [(1, SpurtEnded(end))])
    bench.listener.stop()
    assert bench.turns.empty()
