"""Runs of silence: what belongs to one, and that a track which sleeps through them hears the same as one that places
every packet."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from captions.stream.codec import Codec
from captions.stream.ear import Ear
from captions.stream.silent_run import SilentRun
from captions.stream.timeline import Packet
from captions.types import Gap

PACKET = 480


def numbered(seq: int, timestamp: int) -> Packet:
    return Packet(b"", 0.0, None, seq & 0xFFFF, timestamp & 0xFFFF_FFFF)


def test_a_run_takes_what_follows_by_number_and_by_time_over_both_their_ends() -> None:
    run = SilentRun()
    run.begin(numbered(0xFFFE, 0xFFFF_FFFF - 2 * PACKET), PACKET)
    following = [numbered(0xFFFF + n, 0xFFFF_FFFF - PACKET + n * PACKET) for n in range(4)]
    assert [run.takes(packet) for packet in following] == [True] * 4
    assert (run.end(), run.packets) == (following, [])


def test_a_run_takes_nothing_else() -> None:
    run = SilentRun()
    assert not run.takes(numbered(0, 0))
    assert not run.takes(Packet(b"", 0.0))
    run.begin(numbered(7, 0), PACKET)
    others = [numbered(9, PACKET), numbered(8, 0), numbered(8, 2 * PACKET), numbered(7, 0), Packet(b"", 0.0)]
    assert not any(run.takes(packet) for packet in others)
    assert run.takes(numbered(8, PACKET))
    run.end()
    assert not run.takes(numbered(9, 2 * PACKET))


def test_a_run_does_not_begin_behind_what_has_no_number_or_no_length() -> None:
    run = SilentRun()
    run.begin(Packet(b"", 0.0, None, None, 0), PACKET)
    run.begin(Packet(b"", 0.0, None, 7, None), PACKET)
    run.begin(numbered(7, 0), 0)
    assert not run.takes(numbered(8, PACKET))
    assert not run.takes(numbered(8, 0))


def heard_of(ear: Ear, packets: list[Packet]) -> tuple[list[tuple[int, float]], list[Gap], list[int]]:
    """Frames by start and loudness, gaps, and where the decoded packets lie."""
    frames: list[tuple[int, float]] = []
    gaps: list[Gap] = []
    placed: list[int] = []
    for packet in packets:
        more = ear.push(packet) or (packet is packets[-1] and ear.gathering)
        while more:
            taking = ear.take(speaking=False)
            more = taking.more
            frames += [] if taking.frame is None else [(taking.frame.start, float(taking.frame.pcm.sum()))]
            gaps += taking.gaps
            placed += [one.start for one in taking.arrivals]
    return frames, gaps, placed


@given(
    st.lists(
        st.tuples(
            st.integers(1, 260),
            st.sampled_from(["loss", "burst lost", "twice", "swapped", "unsent", "speech", "restart"]),
        ),
        max_size=6,
    )
)
def test_a_track_hears_the_same_whether_it_keeps_runs_or_places_every_packet(course: list[tuple[int, str]]) -> None:
    number, at, packets = 0, 0, [Packet(loud(), 0.0, None, 0, 0, 20)]
    for silent, then in course:
        for _ in range(silent):
            number, at = number + 1, at + PACKET
            packets.append(quiet(number, at))
        if then == "loss":
            number, at = number + 1, at + PACKET
        elif then == "burst lost":
            number, at = number + 40, at + 40 * PACKET
        elif then == "twice":
            packets.append(packets[-1])
        elif then == "swapped" and silent > 1:
            packets[-2:] = packets[:-3:-1]
        elif then == "unsent":
            at += 90 * PACKET
        elif then == "restart":
            number, at = number + 20_000, 5
        else:
            number, at = number + 1, at + PACKET
            packets.append(Packet(loud(), at / 24_000, None, number & 0xFFFF, at, 20))
    packets.append(Packet(loud(), (at + PACKET) / 24_000, None, (number + 1) & 0xFFFF, at + PACKET, 20))
    pcm = Codec("pcm_f32le", 24_000)
    keeps, places = Ear(pcm, counts=False), Ear(pcm, counts=True)
    assert heard_of(keeps, packets) == heard_of(places, packets)
    keeps.end(), places.end()
    assert (keeps.position, keeps.impairment) == (places.position, places.impairment)


def quiet(number: int, at: int) -> Packet:
    return Packet(np.full(PACKET, 1e-4, "<f4").tobytes(), at / 24_000, None, number & 0xFFFF, at, 90)


def loud() -> bytes:
    return np.full(PACKET, 0.5, "<f4").tobytes()


def test_what_a_sleeping_track_keeps_is_bounded() -> None:
    ear = Ear(Codec("pcm_f32le", 24_000), counts=False)
    kept = []
    for number in range(3_000):
        if ear.push(quiet(number, number * PACKET)):
            while ear.take(speaking=False).more:
                pass
        kept.append(ear.kept_packets)
    assert min(kept[200:]) >= 50
    assert max(kept) <= 150
