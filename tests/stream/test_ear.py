"""One track's ear: frames and chunks on the media clock, sleep in silence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.stream.codec import AudioError, Codec
from captions.stream.decode import PcmDecoder, decoder_for
from captions.stream.ear import CHUNK_SPAN, Chunk, Ear
from captions.stream.opus import OpusEncoder
from captions.stream.timeline import Packet
from captions.types import FRAME_SAMPLES, Frame, Gap

PACKET = 480


def ear(*, skips_silence: bool = True) -> Ear:
    return Ear(PcmDecoder(np.float32, 24_000, 1), skips_silence=skips_silence)


def packet(number: int, level: float = 0.5, *, arrived_at: float | None = None, loudness: int | None = None) -> Packet:
    """20 ms of constant PCM, with RTP's sequence and timestamp."""
    at = number / 50 if arrived_at is None else arrived_at
    data = np.full(PACKET, level, "<f4").tobytes()
    return Packet(data, at, None, number & 0xFFFF, number * PACKET, loudness)


def hear(track: Ear, packets: list[Packet]) -> tuple[list[Frame], list[Chunk]]:
    frames, chunks = [], []
    for p in packets:
        if not track.push(p):
            continue
        while not track.is_done:
            frame = track.advance()
            frames += [] if frame is None else [frame]
            chunks += list(iter(track.chunk, None))
    return frames, chunks


def test_four_packets_make_a_frame_that_arrived_with_the_last_of_them() -> None:
    frames, _ = hear(ear(), [packet(n, (n + 1) / 10) for n in range(4)])
    (frame,) = frames
    assert (frame.start, frame.arrived_at) == (0, 0.06)
    np.testing.assert_array_equal(frame.pcm, np.repeat(np.array([0.1, 0.2, 0.3, 0.4], np.float32), PACKET))


def test_chunks_cover_the_track_without_a_gap() -> None:
    _, chunks = hear(ear(), [packet(n) for n in range(50)])
    assert [chunk.start for chunk in chunks] == [n * CHUNK_SPAN for n in range(len(chunks))]
    whole_frames = 24_000 // FRAME_SAMPLES * FRAME_SAMPLES
    assert whole_frames // CHUNK_SPAN - len(chunks) in (0, 1), "the resampler holds back some samples"
    assert all(len(chunk.pcm) == 512 for chunk in chunks)


@given(sizes=st.lists(st.integers(1, 3_000), max_size=30))
def test_however_the_audio_is_cut_it_is_all_there(sizes: list[int]) -> None:
    pcm = np.random.default_rng(0).uniform(0.1, 0.9, sum(sizes)).astype("<f4")
    cuts = np.split(pcm, np.cumsum(sizes)[:-1]) if sizes else []
    track = ear()
    frames, _ = hear(track, [Packet(cut.tobytes(), 0.0) for cut in cuts])
    last = track.finish(0.0)
    heard = np.concatenate([f.pcm for f in [*frames, *([] if last is None else [last])]] or [np.empty(0, np.float32)])
    np.testing.assert_array_equal(heard[: len(pcm)], pcm)
    assert not heard[len(pcm) :].any()
    assert [f.start for f in frames] == [n * FRAME_SAMPLES for n in range(len(frames))]


def test_finishing_fills_up_with_silence_and_leaves_the_clock_where_it_was() -> None:
    track = ear()
    hear(track, [packet(0)])
    frame = track.finish(9.0)
    assert frame is not None
    assert (frame.start, frame.arrived_at, track.position) == (0, 9.0, PACKET)
    assert frame.pcm[:PACKET].all()
    assert not frame.pcm[PACKET:].any()
    assert track.finish(9.0) is None


def test_a_lost_packet_is_concealed_and_counted() -> None:
    track = ear()
    frames, _ = hear(track, [packet(n) for n in (0, 2, 3, 4, 5)])
    assert len(frames) == 1
    assert not frames[0].pcm[PACKET : 2 * PACKET].any()
    assert track.concealed == PACKET
    assert track.gaps == []


def test_a_long_loss_is_told_as_a_gap() -> None:
    track = ear()
    hear(track, [packet(n) for n in (0, 100, 101, 102, 103)])
    assert track.gaps == [Gap(PACKET, 100 * PACKET, "loss")]


def test_a_corrupt_packet_is_an_error_and_the_clock_goes_on() -> None:
    track = Ear(decoder_for(Codec("opus")))
    good = [OpusEncoder().encode(np.full(960, 0.1, np.float32)) for _ in range(3)]
    bad = bytes([good[0][0] | 3]) + b"\x3f" + b"\xff" * 8
    for n, data in enumerate([good[0], bad, good[1], good[2]]):
        track.push(Packet(data, n / 50, None, n, n * 960))
    with pytest.raises(AudioError):
        track.advance()
    while not track.is_done:
        track.advance()
    assert track.position == 4 * PACKET


def test_falls_asleep_after_half_a_second_of_silence_and_decodes_no_more() -> None:
    track = ear()
    frames, _ = hear(track, [packet(n, 0.0) for n in range(200)])
    assert len(frames) == 24_000 // 2 // FRAME_SAMPLES
    assert track.taken_samples == 200 * PACKET


def test_wakes_up_with_the_last_second_of_what_was_kept() -> None:
    track = ear()
    hear(track, [packet(n, 0.0) for n in range(200)])
    frames, chunks = hear(track, [packet(n) for n in range(200, 204)])
    woke_at = (201 - 50) * PACKET
    assert frames[0].start == woke_at - woke_at % FRAME_SAMPLES
    assert frames[-1].end == 204 * PACKET
    assert chunks[0].fresh
    assert not any(chunk.fresh for chunk in chunks[1:])
    loud = np.concatenate([f.pcm for f in frames])[-4 * PACKET :]
    assert loud.all()


def test_frames_lie_on_the_same_grid_whether_silence_is_skipped_or_not() -> None:
    packets = [packet(n, 0.0) for n in range(203)] + [packet(n, 0.5) for n in range(203, 230)]
    skipped, _ = hear(ear(), packets)
    whole, _ = hear(ear(skips_silence=False), packets)
    tail = {frame.start: frame.pcm for frame in whole}
    for frame in skipped[-8:]:
        np.testing.assert_array_equal(frame.pcm, tail[frame.start])


def test_a_short_sleep_leaves_no_seam() -> None:
    levels = [0.5, 0.5, *[0.001 * (n % 3) for n in range(26 + 47)], *[0.5] * 20]
    packets = [packet(n, level, loudness=20 if level == 0.5 else 127) for n, level in enumerate(levels)]
    track, whole = ear(), ear(skips_silence=False)
    (frames, chunks), (all_frames, all_chunks) = hear(track, packets), hear(whole, packets)
    assert [frame.start for frame in frames] == [frame.start for frame in all_frames]
    for frame, same in zip(frames, all_frames, strict=True):
        np.testing.assert_array_equal(frame.pcm, same.pcm)
    assert [(chunk.start, chunk.fresh) for chunk in chunks] == [(chunk.start, False) for chunk in all_chunks]
    for chunk, same_chunk in zip(chunks, all_chunks, strict=True):
        np.testing.assert_array_equal(chunk.pcm, same_chunk.pcm)


def test_stays_awake_while_somebody_speaks() -> None:
    track = ear()
    track.speaking = True
    frames, _ = hear(track, [packet(n, 0.0) for n in range(100)])
    assert len(frames) == 25


def test_the_senders_level_decides_without_looking_at_the_audio() -> None:
    track = ear()
    frames, _ = hear(track, [packet(n, 0.5, loudness=127) for n in range(200)])
    assert len(frames) == 6


def test_silence_nobody_sent_closes_the_gate_and_is_not_played_on_for_ever() -> None:
    track = ear()
    hear(track, [packet(n) for n in range(4)])
    track.speaking = True
    frames, _ = hear(track, [Packet(packet(0).data, 60.0, None, 4, 60 * 24_000)])
    assert 0.9 < sum(not f.pcm.any() for f in frames) * 0.08 < 1.1
    assert track.position == 60 * 24_000 + PACKET


def test_an_hour_of_silence_nobody_sent_costs_nothing_where_nobody_spoke() -> None:
    track = ear()
    hear(track, [packet(n) for n in range(4)])
    frames, _ = hear(track, [Packet(packet(0).data, 3600.0, None, 4, 3600 * 24_000)])
    assert frames == []
    assert track.position == 3600 * 24_000 + PACKET


def test_dropping_the_oldest_is_a_gap() -> None:
    track = ear()
    track.push(packet(0))
    track.push(packet(1))
    track.drop_oldest()
    assert track.gaps == [Gap(0, PACKET, "overload")]
    assert track.position == PACKET
