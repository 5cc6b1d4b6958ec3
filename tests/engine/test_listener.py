"""The listener, turned by hand: what connections tell goes in, orders for the model and news for the connections come
out."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest

from captions.engine.orders import (
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
    PacketArrived,
    StartSpeech,
    TrackClosed,
    TrackMuted,
    TrackOpened,
    Turn,
)
from captions.engine.rounds import GATHER_S
from captions.stream.chunk_cutter import CHUNK_SPAN
from captions.stream.codec import Codec
from captions.stream.opus import OPUS_CLOCK, OpusEncoder
from captions.stream.timeline import Packet
from captions.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE, Gap
from captions.vad.gate import SpurtEnded, SpurtStarted
from captions.vad.silero import SileroVad
from tests.engine.listening import (
    PACKET,
    PATIENCE_S,
    Bench,
    Mark,
    Pushed,
    arrivals,
    frames_of,
    loud,
    news,
    opened,
    outline,
    said,
    silent,
    spoken,
    starts,
    taken,
    told,
)
from tests.speech import dickens

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
    heard = [bench.hear(opened(), *loud(1, 1), *silent(1, 50, first=1)) for bench in (sleeps, listens)]
    assert [len(frames_of([turn])) for turn in heard] == [7, 51]
    assert [len(arrivals(turn)) for turn in heard] == [7, 51]


def test_of_hundreds_that_join_at_once_and_are_silent_nothing_is_decoded_and_the_detector_hears_nobody() -> None:
    bench = Bench()
    crowd = range(1, 451)
    bench.hear(*(opened(track) for track in crowd))
    turns = [bench.hear(*(one for track in crowd for one in silent(track, 1, first=n)), at=n / 12.5) for n in range(12)]
    assert (frames_of(turns), bench.vad.calls) == ([], [])
    turn = bench.hear(*loud(7, 2, first=12), at=1.0)
    assert news(turn, 7) == [SpurtStarted(12 * FRAME_SAMPLES)]
    assert {track for call in bench.vad.calls for track in call} == {6}, "the stream of track 7"


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


# What a network and a sender spoil


def test_what_is_no_audio_is_told_and_the_track_goes_on() -> None:
    damaged = PacketArrived(1, Packet(b"abc", 0.08))
    turn = Bench().hear(opened(), *loud(1, 1), damaged, *loud(1, 2, first=2))
    assert starts(turn) == [(1, 0), (1, 1), (1, 2)]
    assert news(turn) == [SpurtStarted(0), BadAudio("3 bytes are not a whole number of 4-byte samples")]


def test_bad_audio_of_one_track_is_told_to_no_other() -> None:
    bench = Bench()
    turn = bench.hear(opened(1), opened(2), PacketArrived(1, Packet(b"abc", 0.0)), *loud(2, 1))
    later = bench.hear(at=GATHER_S)
    assert news(turn, 1) + news(later, 1) == [BadAudio("3 bytes are not a whole number of 4-byte samples")]
    assert news(turn, 2) + news(later, 2) == [SpurtStarted(0)]


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
    turns = [bench.hear(PacketArrived(1, packet), at=packet.arrived_at) for packet in packets]
    return [*turns, bench.hear(at=bench.now + GATHER_S)]


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
        at=5.1,
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
