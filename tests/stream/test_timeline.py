"""The media clock of a track: order, holes, silence, restarts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.stream.timeline import (
    MOST_DROPPED,
    MOST_MISORDERED,
    Lost,
    Packet,
    PlacedPacket,
    Timeline,
    TimelineItem,
    Unsent,
)

TICKS = 960
"""20 ms of Opus; 480 samples at 24 kHz."""


def timeline() -> Timeline:
    return Timeline(48_000, lambda data: len(data) * TICKS)


def packet(number: int, *, first_seq: int = 0, first_timestamp: int = 0, arrived_at: float | None = None) -> Packet:
    """Packet `number` of a stream of 20 ms packets that arrive as they are made."""
    return Packet(
        b"x",
        number / 50 if arrived_at is None else arrived_at,
        None,
        (first_seq + number) & 0xFFFF,
        (first_timestamp + number * TICKS) & 0xFFFF_FFFF,
    )


def run(line: Timeline, packets: Iterable[Packet]) -> list[TimelineItem]:
    items: list[TimelineItem] = []
    for p in packets:
        line.push(p)
        items += iter(line.pop, None)
    return items


def spans(items: Iterable[TimelineItem]) -> list[tuple[str, int, int]]:
    return [(type(item).__name__, item.start, item.samples) for item in items]


def test_packets_in_order_follow_on_each_other_at_once() -> None:
    assert spans(run(timeline(), map(packet, range(3)))) == [
        ("PlacedPacket", 0, 480),
        ("PlacedPacket", 480, 480),
        ("PlacedPacket", 960, 480),
    ]


def test_a_misordered_packet_is_waited_for() -> None:
    line = timeline()
    assert spans(run(line, [packet(0), packet(2)])) == [("PlacedPacket", 0, 480)]
    assert spans(run(line, [packet(1)])) == [("PlacedPacket", 480, 480), ("PlacedPacket", 960, 480)]


def test_a_missing_packet_is_concealed_once_three_later_ones_have_come() -> None:
    line = timeline()
    assert spans(run(line, map(packet, (0, 2, 3, 4)))) == [("PlacedPacket", 0, 480)]
    items = run(line, [packet(5)])
    assert spans(items[:2]) == [("Lost", 480, 480), ("PlacedPacket", 960, 480)]
    assert isinstance(items[0], Lost)
    assert items[0].behind == packet(2)


def test_a_packet_that_comes_after_it_was_given_up_is_dropped_and_counted() -> None:
    line = timeline()
    run(line, map(packet, (0, 2, 3, 4, 5)))
    assert run(line, [packet(1)]) == []
    assert line.late == 1


def test_a_repeated_packet_is_dropped_and_counted() -> None:
    line = timeline()
    items = run(line, map(packet, (0, 2, 2, 1, 1)))
    assert spans(items) == [("PlacedPacket", 0, 480), ("PlacedPacket", 480, 480), ("PlacedPacket", 960, 480)]
    assert (line.repeated, line.late) == (2, 0)


def test_a_long_hole_is_silence_and_told_as_lost() -> None:
    items = run(timeline(), map(packet, (0, 20, 21, 22, 23)))
    assert spans(items[:3]) == [("PlacedPacket", 0, 480), ("Unsent", 480, 19 * 480), ("PlacedPacket", 20 * 480, 480)]
    assert isinstance(items[1], Unsent)
    assert items[1].lost


def test_a_jump_of_the_timestamp_alone_is_silence_that_was_not_sent() -> None:
    line = timeline()
    run(line, [packet(0)])
    items = run(line, [Packet(b"x", 5.0, None, 1, 5 * 48_000)])
    assert items == [
        Unsent(480, 5 * 24_000 - 480, lost=False),
        PlacedPacket(Packet(b"x", 5.0, None, 1, 5 * 48_000), 5 * 24_000, 480),
    ]


def test_sequence_and_timestamp_wrap() -> None:
    packets = [packet(n, first_seq=0xFFFE, first_timestamp=0xFFFF_FFFF - TICKS) for n in range(5)]
    assert spans(run(timeline(), packets)) == [("PlacedPacket", n * 480, 480) for n in range(5)]


def test_a_restarted_sender_follows_on_after_the_time_it_was_away() -> None:
    line = timeline()
    run(line, map(packet, range(50)))
    again = [packet(n, first_seq=40_000, first_timestamp=3_000_000_000, arrived_at=2.98 + n / 50) for n in range(2)]
    assert spans(run(line, again)) == [
        ("Unsent", 24_000, 2 * 24_000 - 480),
        ("PlacedPacket", 3 * 24_000 - 480, 480),
        ("PlacedPacket", 3 * 24_000, 480),
    ]


def test_a_timestamp_that_runs_backwards_does_not_turn_the_clock_back() -> None:
    line = timeline()
    run(line, map(packet, range(3)))
    items = run(line, [Packet(b"x", 0.06, None, 3, 0)])
    assert spans(items) == [("PlacedPacket", 1440, 480)]


def test_without_sequence_and_timestamps_the_order_of_arrival_is_the_clock() -> None:
    packets = [Packet(b"x", at) for at in (0.0, 7.0, 7.0)]
    assert spans(run(timeline(), packets)) == [
        ("PlacedPacket", 0, 480),
        ("PlacedPacket", 480, 480),
        ("PlacedPacket", 960, 480),
    ]


def test_packets_of_10_to_60_ms_keep_their_own_length() -> None:
    line = Timeline(48_000, lambda data: len(data) * 480)
    lengths = [1, 2, 4, 6]
    starts = [0, *itertools.accumulate(lengths)]
    packets = [Packet(b"x" * n, 0.0, None, i, starts[i] * 480) for i, n in enumerate(lengths)]
    assert spans(run(line, packets)) == [("PlacedPacket", starts[i] * 240, n * 240) for i, n in enumerate(lengths)]


def test_rounding_does_not_add_up_at_odd_rates() -> None:
    line = Timeline(44_100, lambda data: 441)
    items = run(line, [Packet(b"x", 0.0) for _ in range(1_000)])
    assert line.position == 240_000
    assert items[-1].start == 239_760


def run_at_once(line: Timeline, packets: Iterable[Packet]) -> list[TimelineItem]:
    items: list[TimelineItem] = []
    for p in packets:
        placed = line.place_at_once(p)
        items += iter(line.pop, None) if placed is None else [placed]
    return items


@given(
    numbers=st.lists(st.integers(0, 8) | st.sampled_from([200, 70_000]), max_size=20),
    bare=st.sets(st.integers(0, 19)),
    first_seq=st.sampled_from([0, 0xFFFE]),
)
def test_placing_at_once_is_pushing_and_popping(numbers: list[int], bare: set[int], first_seq: int) -> None:
    """In whatever order packets come, and whichever of them say nothing of their place."""
    packets = [
        Packet(b"x", at / 50) if at in bare else packet(number, first_seq=first_seq, arrived_at=at / 50)
        for at, number in enumerate(numbers)
    ]
    plain, quick = timeline(), timeline()
    assert run_at_once(quick, packets) == run(plain, packets)
    assert vars(quick) | {"_ticks_of": None} == vars(plain) | {"_ticks_of": None}


@given(
    order=st.permutations(range(12)),
    lost=st.sets(st.integers(0, 11), max_size=6),
    repeats=st.lists(st.integers(0, 11), max_size=4),
    first_seq=st.integers(0, 0xFFFF),
    first_timestamp=st.integers(0, 0xFFFF_FFFF),
)
def test_whatever_the_network_does_the_clock_runs_on_without_overlap(
    order: list[int], lost: set[int], repeats: list[int], first_seq: int, first_timestamp: int
) -> None:
    def sent(n: int) -> Packet:
        return packet(n, first_seq=first_seq, first_timestamp=first_timestamp, arrived_at=1.0)

    line = timeline()
    items = run(line, [sent(0), *(sent(n) for n in [*order, *repeats] if n not in lost)])
    items += run(line, [sent(n) for n in range(12, 17)])
    position = 0
    for item in items:
        assert item.start == position
        position += item.samples
    played = [item.packet.seq for item in items if isinstance(item, PlacedPacket)]
    assert len(played) == len(set(played))
    assert position == line.position == 17 * 480
    assert line.pending == 0


# The edges of the window, wraps and restarts


def numbered(seq: int, timestamp: int | None = None, arrived_at: float = 0.0, packets: int = 1) -> Packet:
    return Packet(b"x" * packets, arrived_at, None, seq & 0xFFFF, timestamp)


def test_what_waits_is_placed_with_its_holes_when_nothing_more_comes() -> None:
    line = timeline()
    run(line, [packet(0), packet(2), packet(5)])
    line.give_up_waiting()
    assert spans(iter(line.pop, None)) == [
        ("Lost", 480, 480),
        ("PlacedPacket", 960, 480),
        ("Lost", 3 * 480, 2 * 480),
        ("PlacedPacket", 5 * 480, 480),
    ]
    assert spans(run(line, [packet(6)])) == [("PlacedPacket", 6 * 480, 480)]
    run(line, [packet(5)])
    assert (line.late, line.repeated) == (1, 0)


def test_giving_up_without_anything_waiting_changes_nothing() -> None:
    line = timeline()
    line.give_up_waiting()
    assert spans(run(line, [packet(0)])) == [("PlacedPacket", 0, 480)]


def test_the_oldest_is_dropped_though_something_before_it_may_still_come() -> None:
    line = timeline()
    run(line, [packet(0)])
    line.push(packet(3))
    line.push(packet(2))
    dropped = [line.drop_oldest(), line.drop_oldest()]
    assert [(type(item).__name__, item.start) for item in dropped if item is not None] == [
        ("Unsent", 480),
        ("PlacedPacket", 960),
    ]
    assert line.late == 0
    run(line, [packet(1)])
    assert line.late == 1


def test_with_nothing_pending_nothing_is_dropped() -> None:
    assert timeline().drop_oldest() is None


def test_what_is_ready_or_came_without_a_number_is_dropped_first() -> None:
    line = timeline()
    line.push(Packet(b"x", 0.0))
    line.push(Packet(b"xx", 0.0))
    first = line.drop_oldest()
    assert isinstance(first, PlacedPacket)
    assert (first.start, first.samples, line.pending) == (0, 480, 1)


@pytest.mark.parametrize(("behind", "late"), [(MOST_MISORDERED, 1), (MOST_MISORDERED + 1, 0)])
def test_a_number_too_far_behind_is_a_restart(behind: int, late: int) -> None:
    line = timeline()
    run(line, (numbered(seq) for seq in range(10_000, 10_200)))
    items = run(line, [numbered(10_200 - behind)])
    assert (line.late + line.repeated, len(items)) == (late, 1 - late)


@pytest.mark.parametrize(("ahead", "waits"), [(MOST_DROPPED, True), (MOST_DROPPED + 1, False)])
def test_a_number_too_far_ahead_is_a_restart(ahead: int, waits: bool) -> None:
    line = timeline()
    run(line, [numbered(0)])
    assert (run(line, [numbered(1 + ahead)]) == []) == waits


def test_numbers_wrap_in_order_and_out_of_order() -> None:
    line = timeline()
    starts = [item.start for item in run(line, [numbered(65_534), numbered(0), numbered(65_535), numbered(1)])]
    assert starts == [0, 480, 960, 1_440]
    run(line, [numbered(65_535), numbered(65_535)])
    assert (line.repeated, line.late) == (2, 0)


def test_every_late_packet_is_counted() -> None:
    line = timeline()
    run(line, map(packet, (0, 3, 4, 5, 6, 1, 2)))
    assert line.late == 2


def test_only_the_packets_just_placed_are_known_as_repeated() -> None:
    line = timeline()
    run(line, (numbered(seq) for seq in range(MOST_MISORDERED + 1)))
    run(line, [numbered(1), numbered(MOST_MISORDERED)])
    assert (line.repeated, line.late) == (2, 0)


@pytest.mark.parametrize(("packets", "kind"), [(6, "Lost"), (7, "Unsent")])
def test_a_hole_of_up_to_120_ms_is_concealed(packets: int, kind: str) -> None:
    line = timeline()
    run(line, (packet(n) for n in range(100)))
    later = (packet(n) for n in range(100 + packets, 104 + packets))
    assert spans(run(line, later))[0] == (kind, 48_000, packets * 480)


def test_a_single_lost_packet_too_long_to_conceal_is_told_as_lost() -> None:
    line = timeline()
    items = run(line, [numbered(0, 0), *(numbered(n, 20_000 + n * TICKS) for n in range(2, 6))])
    unsent = items[1]
    assert isinstance(unsent, Unsent)
    assert (unsent.start, unsent.lost) == (480, True)


def test_without_timestamps_a_lost_packet_is_as_long_as_the_one_behind_it() -> None:
    line = timeline()
    items = run(line, [numbered(0), *(numbered(seq, packets=2) for seq in (2, 3, 4, 5))])
    assert spans(items)[:3] == [("PlacedPacket", 0, 480), ("Lost", 480, 960), ("PlacedPacket", 1_440, 960)]


def test_timestamps_wrap_with_and_without_a_hole() -> None:
    line = timeline()
    near = (1 << 32) - TICKS
    items = run(line, [numbered(0, near), numbered(1, 0), numbered(2, 3 * TICKS, 0.1)])
    assert spans(items) == [
        ("PlacedPacket", 0, 480),
        ("PlacedPacket", 480, 480),
        ("Unsent", 960, 960),
        ("PlacedPacket", 1_920, 480),
    ]


def test_a_clock_that_runs_backwards_goes_on_after_the_time_that_went_by() -> None:
    line = timeline()
    run(line, [numbered(0, 90_000, 1.0)])
    items = run(line, [numbered(1, 5_000, 3.0), numbered(2, 5_000 + TICKS, 3.02)])
    assert spans(items) == [
        ("Unsent", 480, 2 * 24_000 - 480),
        ("PlacedPacket", 2 * 24_000, 480),
        ("PlacedPacket", 2 * 24_000 + 480, 480),
    ]


def test_a_clock_that_runs_backwards_with_packets_lost_goes_on_after_those_at_least() -> None:
    line = timeline()
    run(line, [numbered(0, 90_000, 1.0)])
    items = run(line, [numbered(seq, 5_000 + seq * TICKS, 1.0) for seq in (4, 5, 6, 7)])
    assert spans(items)[:2] == [("Lost", 480, 3 * 480), ("PlacedPacket", 4 * 480, 480)]


@pytest.mark.parametrize(("ahead_s", "taken_s"), [(30.0, 30.0), (30.1, 0.0)])
def test_a_timestamp_may_run_ahead_of_the_time_that_went_by_for_half_a_minute(ahead_s: float, taken_s: float) -> None:
    line = timeline()
    run(line, [numbered(0, 0, 0.0)])
    last = run(line, [numbered(1, TICKS + round(ahead_s * 48_000), 0.0)])[-1]
    assert last.start == 480 + round(taken_s * 24_000)


def test_overlapping_timestamps_follow_on_each_other() -> None:
    line = timeline()
    run(line, [numbered(0, 0)])
    assert spans(run(line, [numbered(1, TICKS - 1)])) == [("PlacedPacket", 480, 480)]
