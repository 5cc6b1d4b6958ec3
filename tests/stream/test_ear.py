"""One track's ear: frames and chunks on the media clock, sleep in silence."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from captions.stream.chunk_cutter import CHUNK_SPAN, Chunk
from captions.stream.codec import Codec
from captions.stream.ear import Ear, Impairment, Taking
from captions.stream.opus import OpusEncoder
from captions.stream.timeline import Packet
from captions.types import FRAME_SAMPLES, Frame, Gap

PACKET = 480


def packet(number: int, level: float = 0.5, *, arrived_at: float | None = None, loudness: int | None = None) -> Packet:
    """20 ms of constant PCM, with RTP's sequence and timestamp."""
    at = number / 50 if arrived_at is None else arrived_at
    data = np.full(PACKET, level, "<f4").tobytes()
    return Packet(data, at, None, number & 0xFFFF, number * PACKET, loudness)


class Listening:
    """An ear, and all that came of what it took in."""

    def __init__(self, ear: Ear | None = None, *, skips_silence: bool = True) -> None:
        self.ear = ear or Ear(Codec("pcm_f32le", 24_000), skips_silence=skips_silence)
        self.speaking = False
        self.frames: list[Frame] = []
        self.chunks: list[Chunk] = []
        self.gaps: list[Gap] = []
        self.damage: list[str] = []
        self.arrivals: list[int] = []

    def hear(self, packets: Iterable[Packet]) -> Listening:
        for packet in packets:
            if self.ear.push(packet):
                self.take_all()
        return self

    def take_all(self) -> None:
        while self.keep(self.ear.take(speaking=self.speaking)).more:
            pass

    def keep(self, taking: Taking) -> Taking:
        self.frames += [] if taking.frame is None else [taking.frame]
        self.chunks += taking.chunks
        self.gaps += taking.gaps
        self.damage += [] if taking.damage is None else [taking.damage]
        self.arrivals += [placed.start for placed in taking.arrivals]
        return taking


def test_four_packets_make_a_frame_that_arrived_with_the_last_of_them() -> None:
    (frame,) = Listening().hear(packet(n, (n + 1) / 10) for n in range(4)).frames
    assert (frame.start, frame.arrived_at) == (0, 0.06)
    np.testing.assert_array_equal(frame.pcm, np.repeat(np.array([0.1, 0.2, 0.3, 0.4], np.float32), PACKET))


def test_taking_gives_at_most_a_frame_and_says_whether_there_is_more() -> None:
    track = Listening().ear
    for n in range(5):
        assert track.push(packet(n))
    first, second = track.take(speaking=False), track.take(speaking=False)
    assert (first.frame is not None, first.more, [placed.start for placed in first.arrivals]) == (
        True,
        True,
        [n * PACKET for n in range(4)],
    )
    assert (second.frame, second.more, [placed.start for placed in second.arrivals]) == (None, False, [4 * PACKET])
    assert track.take(speaking=False) == Taking(None, (), [], (), None, more=False)


def test_chunks_cover_the_track_without_a_gap() -> None:
    chunks = Listening().hear(packet(n) for n in range(50)).chunks
    assert [chunk.start for chunk in chunks] == [n * CHUNK_SPAN for n in range(len(chunks))]
    whole_frames = 24_000 // FRAME_SAMPLES * FRAME_SAMPLES
    assert whole_frames // CHUNK_SPAN - len(chunks) in (0, 1), "the resampler holds back some samples"
    assert all(len(chunk.pcm) == 512 for chunk in chunks)


@given(sizes=st.lists(st.integers(1, 3_000), max_size=30))
def test_however_the_audio_is_cut_it_is_all_there(sizes: list[int]) -> None:
    pcm = np.random.default_rng(0).uniform(0.1, 0.9, sum(sizes)).astype("<f4")
    cuts = np.split(pcm, np.cumsum(sizes)[:-1]) if sizes else []
    track = Listening().hear(Packet(cut.tobytes(), 0.0) for cut in cuts)
    whole = len(track.frames)
    track.keep(track.ear.finish(0.0))
    heard = np.concatenate([f.pcm for f in track.frames] or [np.empty(0, np.float32)])
    np.testing.assert_array_equal(heard[: len(pcm)], pcm)
    assert not heard[len(pcm) :].any()
    assert [f.start for f in track.frames[:whole]] == [n * FRAME_SAMPLES for n in range(whole)]


def test_finishing_fills_up_with_silence_and_leaves_the_clock_where_it_was() -> None:
    track = Listening().hear([packet(0)])
    frame = track.keep(track.ear.finish(9.0)).frame
    assert frame is not None
    assert (frame.start, frame.arrived_at, track.ear.position) == (0, 9.0, PACKET)
    assert frame.pcm[:PACKET].all()
    assert not frame.pcm[PACKET:].any()
    assert track.ear.finish(9.0) == Taking(None, (), [], (), None, more=False)


def test_the_detector_hears_what_there_is_of_a_finished_frame_but_not_what_fills_it_up() -> None:
    track = Listening().hear(packet(n) for n in range(3))
    (chunk,) = track.ear.finish(9.0).chunks
    assert chunk.pcm[100:].min() > 0.4
    track.hear(packet(n) for n in range(3, 50))
    assert min(chunk.pcm.min() for chunk in track.chunks) > 0.4


def test_a_lost_packet_is_concealed_and_counted() -> None:
    track = Listening().hear(packet(n) for n in (0, 2, 3, 4, 5))
    (frame,) = track.frames
    assert not frame.pcm[PACKET : 2 * PACKET].any()
    assert track.ear.impairment == Impairment(late=0, repeated=0, concealed=PACKET)
    assert track.gaps == []


def test_late_and_repeated_packets_are_counted_and_count_as_taken() -> None:
    track = Listening().hear(packet(n) for n in (0, 2, 3, 4, 5, 1, 5))
    assert track.ear.impairment == Impairment(late=1, repeated=1, concealed=PACKET)
    assert track.ear.taken_samples == 7 * PACKET


def test_a_long_loss_is_told_as_a_gap() -> None:
    assert Listening().hear(packet(n) for n in (0, 100, 101, 102, 103)).gaps == [Gap(PACKET, 100 * PACKET, "loss")]


def test_a_long_loss_while_asleep_is_told_as_a_gap_before_the_track_wakes() -> None:
    track = Listening().hear(packet(n, 0.0) for n in range(100))
    assert [track.ear.push(packet(n, 0.0)) for n in (200, 201, 202, 203)] == [False, False, False, True]
    track.take_all()
    assert track.gaps == [Gap(100 * PACKET, 200 * PACKET, "loss")]
    assert track.frames == []


def test_a_corrupt_packet_is_damage_and_the_clock_goes_on() -> None:
    track = Listening(Ear(Codec("opus")))
    good = [OpusEncoder().encode(np.full(960, 0.1, np.float32)) for _ in range(3)]
    bad = bytes([good[0][0] | 3]) + b"\x3f" + b"\xff" * 8
    for n, data in enumerate([good[0], bad, good[1], good[2]]):
        track.ear.push(Packet(data, n / 50, None, n, n * 960))
    first = track.keep(track.ear.take(speaking=False))
    assert (first.frame, first.more) == (None, True)
    track.take_all()
    assert track.damage == [first.damage]
    assert track.arrivals == [n * PACKET for n in range(4)]
    assert track.ear.position == 4 * PACKET


def test_a_track_that_joins_in_silence_has_nothing_decoded() -> None:
    track = Listening(Ear(Codec("pcm_f32le", 24_000), counts=False)).hear(packet(n, 0.0) for n in range(200))
    assert (track.frames, track.arrivals) == ([], [])
    track.hear(packet(n) for n in range(200, 204))
    assert track.arrivals == [n * PACKET for n in range(151, 204)]


def test_falls_asleep_after_half_a_second_of_silence_and_decodes_no_more() -> None:
    track = Listening().hear(packet(n) for n in range(4)).hear(packet(n, 0.0) for n in range(4, 200))
    assert len(track.frames) == 1 + 24_000 // 2 // FRAME_SAMPLES
    assert track.ear.taken_samples == 200 * PACKET
    assert track.ear.newest == packet(199, 0.0)


def test_wakes_up_with_the_last_second_of_what_was_kept() -> None:
    asleep = Listening().hear(packet(n, 0.0) for n in range(200))
    track = Listening(asleep.ear).hear(packet(n) for n in range(200, 204))
    woke_at = (201 - 50) * PACKET
    assert track.frames[0].start == woke_at - woke_at % FRAME_SAMPLES
    assert track.frames[-1].end == 204 * PACKET
    assert track.arrivals == [n * PACKET for n in range(151, 204)]
    assert track.chunks[0].fresh
    assert not any(chunk.fresh for chunk in track.chunks[1:])
    loud = np.concatenate([f.pcm for f in track.frames])[-4 * PACKET :]
    assert loud.all()


def test_frames_lie_on_the_same_grid_whether_silence_is_skipped_or_not() -> None:
    packets = [packet(n, 0.0) for n in range(203)] + [packet(n, 0.5) for n in range(203, 230)]
    skipped = Listening().hear(packets).frames
    tail = {frame.start: frame.pcm for frame in Listening(skips_silence=False).hear(packets).frames}
    for frame in skipped[-8:]:
        np.testing.assert_array_equal(frame.pcm, tail[frame.start])


def test_a_short_sleep_leaves_no_seam() -> None:
    levels = [0.5, 0.5, *[0.001 * (n % 3) for n in range(26 + 47)], *[0.5] * 20]
    packets = [packet(n, level, loudness=20 if level == 0.5 else 127) for n, level in enumerate(levels)]
    track, whole = Listening().hear(packets), Listening(skips_silence=False).hear(packets)
    assert [frame.start for frame in track.frames] == [frame.start for frame in whole.frames]
    for frame, same in zip(track.frames, whole.frames, strict=True):
        np.testing.assert_array_equal(frame.pcm, same.pcm)
    assert [(chunk.start, chunk.fresh) for chunk in track.chunks] == [(chunk.start, False) for chunk in whole.chunks]
    for chunk, same_chunk in zip(track.chunks, whole.chunks, strict=True):
        np.testing.assert_array_equal(chunk.pcm, same_chunk.pcm)


def test_stays_awake_while_somebody_speaks() -> None:
    track = Listening().hear([packet(0)])
    track.speaking = True
    assert len(track.hear(packet(n, 0.0) for n in range(1, 100)).frames) == 25


def test_the_senders_level_decides_without_looking_at_the_audio() -> None:
    track = Listening().hear(packet(n, 0.0, loudness=20) for n in range(4))
    assert len(track.hear(packet(n, 0.5, loudness=127) for n in range(4, 200)).frames) == 7


def test_silence_nobody_sent_closes_the_gate_and_is_not_played_on_for_ever() -> None:
    track = Listening().hear(packet(n) for n in range(4))
    track.speaking = True
    track.hear([Packet(packet(0).data, 60.0, None, 4, 60 * 24_000)])
    assert 0.9 < sum(not f.pcm.any() for f in track.frames) * 0.08 < 1.1
    assert track.ear.position == 60 * 24_000 + PACKET


def test_an_hour_of_silence_nobody_sent_costs_nothing_where_nobody_spoke() -> None:
    track = Listening().hear(packet(n) for n in range(4))
    track.hear([Packet(packet(0).data, 3600.0, None, 4, 3600 * 24_000)])
    assert len(track.frames) == 1
    assert track.ear.position == 3600 * 24_000 + PACKET


def test_dropping_the_oldest_is_a_gap() -> None:
    track = Listening()
    track.ear.push(packet(0))
    track.ear.push(packet(1))
    track.ear.drop_oldest()
    assert track.ear.position == PACKET
    assert track.ear.taken_samples == PACKET
    track.take_all()
    assert track.gaps == [Gap(0, PACKET, "overload")]


def test_the_frame_under_way_is_lost_with_the_packet_behind_it_and_told_once() -> None:
    track = Listening().hear(packet(n) for n in range(2))
    track.ear.push(packet(2))
    track.ear.drop_oldest()
    track.hear(packet(n) for n in range(3, 8))
    assert track.gaps == [Gap(0, 3 * PACKET, "overload")]
    assert [frame.start for frame in track.frames] == [0, FRAME_SAMPLES]
    assert not track.frames[0].pcm[: 3 * PACKET].any()


def test_with_nothing_pending_nothing_is_dropped() -> None:
    track = Listening().hear([packet(0)])
    track.ear.drop_oldest()
    track.take_all()
    assert (track.gaps, track.ear.position) == ([], PACKET)


def test_what_was_kept_can_be_dropped_as_the_track_wakes() -> None:
    track = Listening().hear(packet(n, 0.0) for n in range(100))
    frames = len(track.frames)
    assert track.ear.push(packet(100))
    track.ear.drop_oldest()
    track.take_all()
    assert track.gaps == [Gap(51 * PACKET, 52 * PACKET, "overload")]
    assert (track.ear.position, track.ear.taken_samples) == (101 * PACKET, 101 * PACKET)
    assert len(track.frames) > frames


def test_a_packet_that_follows_the_last_one_kept_after_unsent_silence_is_heard_in_its_place() -> None:
    track = Listening().hear(packet(n, 0.0) for n in range(100))
    frames = len(track.frames)
    quiet, loud = packet(0, 0.0).data, packet(0).data
    track.hear([Packet(quiet, 2.6, None, 100, 130 * PACKET), Packet(loud, 2.8, None, 101, 140 * PACKET)])
    woken = track.frames[frames:]
    assert track.arrivals[-2:] == [130 * PACKET, 140 * PACKET]
    assert (woken[-1].end, track.ear.position) == (140 * PACKET, 141 * PACKET)
    heard = np.concatenate([frame.pcm for frame in woken])
    assert heard.dtype == np.float32
    assert not heard.any()
    assert track.chunks[-1].pcm.dtype == np.float32


def test_silence_nobody_sent_is_played_as_audio_of_the_same_kind() -> None:
    track = Listening().hear(packet(n) for n in range(4))
    track.speaking = True
    track.hear([Packet(packet(0).data, 1.0, None, 4, 24_000)])
    assert {frame.pcm.dtype for frame in track.frames} == {np.dtype(np.float32)}


def test_every_lost_packet_is_counted() -> None:
    track = Listening().hear(packet(n) for n in (0, 2, 3, 4, 5, 7, 8, 9, 10))
    assert track.ear.impairment == Impairment(late=0, repeated=0, concealed=2 * PACKET)


def test_every_dropped_packet_counts_as_taken() -> None:
    track = Listening()
    for n in range(3):
        track.ear.push(packet(n))
    track.ear.drop_oldest()
    track.ear.drop_oldest()
    assert track.ear.taken_samples == 2 * PACKET


def test_what_is_wrong_with_a_packet_is_said() -> None:
    track = Listening(Ear(Codec("opus")))
    track.ear.push(Packet(b"\x03\x3f" + b"\xff" * 8, 0.0))
    track.take_all()
    assert ["not an Opus packet" in damage for damage in track.damage] == [True]


def test_a_packet_behind_the_frame_under_way_takes_nothing_of_it_along() -> None:
    track = Listening().hear(packet(n) for n in range(2))
    track.ear.push(packet(60))
    for n in (61, 62, 63):
        track.ear.push(packet(n))
    track.ear.drop_oldest()
    track.take_all()
    assert track.gaps[0] == Gap(0, 60 * PACKET, "overload")


def test_a_burst_that_falls_asleep_on_its_way_is_kept_to_its_end() -> None:
    track = Listening().hear(packet(n) for n in range(4))
    for n in range(4, 100):
        track.ear.push(packet(n, 0.0))
    track.take_all()
    assert (len(track.frames), track.ear.taken_samples) == (7, 100 * PACKET)
    assert track.ear.newest == packet(99, 0.0)
