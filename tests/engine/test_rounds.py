"""Who is heard first when there is more than a turn has time for."""

from __future__ import annotations

import numpy as np
import pytest

from captions.engine.listener import TURN_S
from captions.engine.orders import (
    AudioEnded,
    CloseTrack,
    EndSpeech,
    FlushAsked,
    FlushTrack,
    Notice,
    OpenTrack,
    PacketArrived,
    RankTrack,
    StartSpeech,
    Taken,
    TrackClosed,
    TrackMuted,
    TrackOpened,
    Turn,
)
from captions.engine.rounds import GATHER_S, ROUND_TRACKS
from captions.stream.codec import Codec
from captions.stream.timeline import Packet
from captions.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE, Gap
from captions.vad.gate import SpurtEnded, SpurtStarted
from tests.engine.listening import (
    PACKET,
    Bench,
    Pushed,
    arrivals,
    loud,
    news,
    opened,
    outline,
    said,
    silent,
    slow,
    starts,
    taken,
)


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
    turn = bench.hear(opened(), *loud(1, 3))
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


def test_the_packets_of_a_frame_are_taken_in_together_once_all_have_come() -> None:
    bench = Bench()
    turns = [bench.hear(opened())]
    turns += [bench.hear(*packet(n), at=n / 50) for n in range(9)]
    assert [len(arrivals(turn)) for turn in turns] == [0, 1, 0, 0, 3, 0, 0, 0, 4, 0], "the first one wakes the track"
    assert [start for turn in turns for start in starts(turn)] == [(1, 0), (1, 1)]


def test_they_wait_no_longer_than_a_tenth_of_a_second_for_the_rest_of_it() -> None:
    bench = Bench()
    bench.hear(opened(), *packet(0), at=0.0)
    assert arrivals(bench.hear(*packet(1), at=0.02)) == []
    assert arrivals(bench.hear(*packet(2), at=0.11)) == []
    assert [mark.start for mark in arrivals(bench.hear(at=0.02 + GATHER_S))] == [PACKET, 2 * PACKET]
    assert not bench.listener.has_rest


@pytest.mark.parametrize("notice", [FlushAsked(1, "f"), TrackMuted(1), AudioEnded(1, "end")])
def test_what_is_told_behind_them_finds_them_taken_in(notice: Notice) -> None:
    bench = Bench()
    bench.hear(opened(), *packet(0), at=0.0)
    assert [mark.start for mark in arrivals(bench.hear(*packet(1), notice, at=0.02))] == [PACKET]


def test_flushes_and_audio_told_behind_a_frame_that_was_left_keep_their_order() -> None:
    bench = slow(TURN_S)
    turns = [
        bench.hear(opened(), *loud(1, 2), FlushAsked(1, "f"), *packet(8), FlushAsked(1, "g"), AudioEnded(1, "end"))
    ]
    while bench.listener.has_rest:
        turns.append(bench.listener.turn())
    flushed = [order.flush_id for turn in turns for order in turn.orders if isinstance(order, FlushTrack)]
    assert flushed == ["f", "g", "end"]


def packet(number: int) -> list[Notice]:
    """20 ms of speech, of which four make a frame."""
    return [PacketArrived(1, Packet(said(0.5, PACKET), number / 50))]
