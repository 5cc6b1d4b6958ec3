"""When a track sleeps and wakes, packet by packet, and what it remembers of its sleep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.stream.sleep import Sleep, SleepState
from captions.stream.timeline import Packet, PlacedPacket
from captions.types import SAMPLE_RATE, samples_in

PACKET = 480
HALF_A_SECOND = SAMPLE_RATE // 2 // PACKET
A_SECOND = SAMPLE_RATE // PACKET


def placed(number: int) -> PlacedPacket:
    return PlacedPacket(Packet(b"", number / 50), number * PACKET, PACKET)


def keeps(sleep: Sleep, placed: PlacedPacket, *, silent: bool, speaking: bool = False) -> bool:
    """What a track does with its next packet: whether it is kept undecoded."""
    if sleep.state is not SleepState.ASLEEP:
        return sleep.falls_asleep(placed, silent, speaking)
    sleep.keep(placed, silent)
    return True


def state(sleep: Sleep) -> SleepState:
    return sleep.state


def silent(sleep: Sleep, numbers: range, *, speaking: bool = False) -> list[bool]:
    """Of each silent packet, whether it was kept."""
    return [keeps(sleep, placed(n), silent=True, speaking=speaking) for n in numbers]


def awake() -> Sleep:
    """A track that has said something."""
    sleep = Sleep(allowed=True)
    sleep.keep(placed(-1), silent=False)
    assert sleep.take() == placed(-1)
    return sleep


def asleep(packets: int = 200) -> Sleep:
    sleep = awake()
    silent(sleep, range(packets))
    return sleep


def take_all(sleep: Sleep) -> list[PlacedPacket | tuple[int, int]]:
    taken = []
    while sleep.state is SleepState.WAKING:
        taken.append(sleep.take())
    return taken


def test_a_track_begins_asleep_unless_it_may_not_sleep() -> None:
    assert Sleep(allowed=True).state is SleepState.ASLEEP
    assert Sleep(allowed=False).state is SleepState.AWAKE


def test_half_a_second_of_silence_is_decoded_and_what_follows_is_kept() -> None:
    sleep = awake()
    assert silent(sleep, range(HALF_A_SECOND)) == [False] * HALF_A_SECOND
    assert state(sleep) is SleepState.AWAKE
    assert silent(sleep, range(HALF_A_SECOND, HALF_A_SECOND + 2)) == [True, True]
    assert state(sleep) is SleepState.ASLEEP


def test_a_sound_in_between_begins_the_count_anew() -> None:
    sleep = awake()
    silent(sleep, range(HALF_A_SECOND))
    assert not keeps(sleep, placed(HALF_A_SECOND), silent=False)
    assert silent(sleep, range(HALF_A_SECOND)) == [False] * HALF_A_SECOND


def test_nobody_falls_asleep_in_the_middle_of_a_spurt_but_just_behind_it() -> None:
    sleep = awake()
    assert silent(sleep, range(100), speaking=True) == [False] * 100
    assert silent(sleep, range(100, 101)) == [True]


def test_a_track_that_may_not_sleep_never_does() -> None:
    sleep = Sleep(allowed=False)
    assert silent(sleep, range(200)) == [False] * 200
    assert sleep.played_of(SAMPLE_RATE * 60, speaking=False) == 0
    assert state(sleep) is SleepState.AWAKE


def test_a_sound_wakes_the_track_which_takes_the_last_second_first() -> None:
    sleep = asleep()
    assert keeps(sleep, placed(200), silent=False)
    assert state(sleep) is SleepState.WAKING
    assert take_all(sleep) == [placed(n) for n in range(201 - A_SECOND, 201)]
    assert state(sleep) is SleepState.AWAKE
    assert silent(sleep, range(201, 201 + HALF_A_SECOND)) == [False] * HALF_A_SECOND


def test_a_single_packet_longer_than_a_second_is_kept_all_the_same() -> None:
    sleep = asleep()
    long = PlacedPacket(Packet(b"", 4.0), 200 * PACKET, 2 * SAMPLE_RATE)
    assert keeps(sleep, long, silent=False)
    assert take_all(sleep) == [long]


def test_silence_nobody_sent_stands_between_what_was_kept() -> None:
    sleep = asleep(HALF_A_SECOND + 1)
    at = HALF_A_SECOND + 10
    keeps(sleep, placed(at), silent=False)
    first = HALF_A_SECOND
    assert take_all(sleep) == [placed(first), ((first + 1) * PACKET, 9 * PACKET), placed(at)]


def test_what_is_dropped_as_the_track_wakes_takes_the_silence_before_it_along() -> None:
    sleep = asleep(HALF_A_SECOND + 1)
    keeps(sleep, placed(HALF_A_SECOND + 10), silent=False)
    assert sleep.drop() == placed(HALF_A_SECOND)
    assert sleep.drop() == placed(HALF_A_SECOND + 10)
    assert state(sleep) is SleepState.AWAKE


def test_a_sleep_remembers_nothing_of_the_one_before() -> None:
    sleep = asleep()
    keeps(sleep, placed(200), silent=False)
    take_all(sleep)
    silent(sleep, range(201, 201 + HALF_A_SECOND + 3))
    keeps(sleep, placed(240), silent=False)
    assert sleep.take() == placed(201 + HALF_A_SECOND)


@pytest.mark.parametrize(
    ("unsent_s", "speaking", "played_s", "sleeps"),
    [(0.4, True, 0.4, False), (1.0, True, 1.0, False), (1.01, True, 1.0, True), (0.02, False, 0.0, True)],
)
def test_silence_nobody_sent_is_played_as_far_as_the_gate_needs_it(
    unsent_s: float, speaking: bool, played_s: float, sleeps: bool
) -> None:
    sleep = awake()
    assert sleep.played_of(samples_in(unsent_s), speaking=speaking) == samples_in(played_s)
    assert (sleep.state is SleepState.ASLEEP) == sleeps


def test_silence_nobody_sent_counts_towards_falling_asleep() -> None:
    sleep = awake()
    sleep.played_of(samples_in(0.5), speaking=True)
    assert silent(sleep, range(1)) == [True]


def test_silence_nobody_sent_is_not_played_to_who_sleeps() -> None:
    assert asleep().played_of(samples_in(0.5), speaking=True) == 0


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_every_packet_is_decoded_kept_or_older_than_a_second(steps: list[tuple[bool, bool]]) -> None:
    sleep = awake()
    decoded: list[int] = []
    kept = 0
    for number, (is_silent, speaking) in enumerate([*[(True, False)] * 30, *steps]):
        if keeps(sleep, placed(number), silent=is_silent, speaking=speaking):
            kept = min(kept + 1, A_SECOND)
        else:
            decoded.append(number)
        taken = [item for item in take_all(sleep) if isinstance(item, PlacedPacket)]
        assert len(taken) in (0, kept)
        if taken:
            assert [item.start // PACKET for item in taken] == list(range(number + 1 - kept, number + 1))
            kept = 0
        elif sleep.state is not SleepState.ASLEEP:
            assert kept == 0


def test_silence_nobody_sent_adds_to_the_silence_before_it() -> None:
    sleep = awake()
    silent(sleep, range(HALF_A_SECOND // 2), speaking=True)
    sleep.played_of(samples_in(0.25), speaking=True)
    assert silent(sleep, range(1)) == [True]
