"""What the other nodes have not been told yet: bounded, and compacted before anything is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from captions.rooms.outgoing import Entry, Outgoing

MEGABYTE = 1 << 20


def entry(caption: str, payload: str = "x" * 10, room: str = "daily") -> Entry:
    return Entry(room, caption, payload)


def test_entries_go_in_the_order_they_were_said() -> None:
    outgoing = Outgoing(MEGABYTE)
    said = [entry("a", "1" * 10), entry("b", "2" * 10), entry("a", "3" * 10)]
    for one in said:
        outgoing.put(one)
    assert (outgoing.waiting_bytes, outgoing.take(), outgoing.waiting_bytes, len(outgoing)) == (30, said, 0, 0)


def test_what_could_not_go_is_first_again_and_newest_revisions_replace_older_ones() -> None:
    outgoing = Outgoing(MEGABYTE)
    for one in (entry("a", "1"), entry("b", "2")):
        outgoing.put(one)
    taken = outgoing.take()
    outgoing.put(entry("a", "3"))
    outgoing.put(entry("c", "4"))
    outgoing.back(taken)
    assert [(one.caption, one.payload) for one in outgoing.take()] == [("b", "2"), ("a", "3"), ("c", "4")]
    assert (outgoing.lost, outgoing.losses()) == (0, set())


def test_past_its_bound_the_oldest_goes_and_its_room_is_told() -> None:
    outgoing = Outgoing(2 * MEGABYTE)
    for number in range(5):
        outgoing.put(entry(f"s{number}", "x" * (MEGABYTE // 2 + 1), room=f"r{number}"))
    assert (outgoing.lost, outgoing.losses(), outgoing.losses()) == (2, {"r0", "r1"}, set())
    assert outgoing.waiting_bytes <= 2 * MEGABYTE


def test_one_request_takes_no_more_than_goes_well() -> None:
    outgoing = Outgoing(8 * MEGABYTE)
    for number in range(4):
        outgoing.put(entry(f"s{number}", "x" * MEGABYTE))
    assert [len(outgoing.take()) for _ in range(5)] == [1, 1, 1, 1, 0]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 400_000), st.booleans()), max_size=60))
def test_the_bytes_are_counted_and_bounded_and_no_segment_is_lost_untold(
    said: list[tuple[int, int, bool]],
) -> None:
    outgoing = Outgoing(MEGABYTE)
    told: dict[str, int] = {}
    newest: dict[str, int] = {}
    lost: set[str] = set()
    for at, (segment, size, goes) in enumerate(said):
        name = f"s{segment}"
        newest[name] = at
        outgoing.put(Entry(name, name, f"{at} ".ljust(size, "x")))
        taken = outgoing.take()
        if goes:
            told |= {one.caption: int(one.payload.split()[0]) for one in taken}
        else:
            outgoing.back(taken)
        lost |= outgoing.losses()
        assert outgoing.waiting_bytes <= MEGABYTE
    while outgoing:
        told |= {one.caption: int(one.payload.split()[0]) for one in outgoing.take()}
    assert outgoing.waiting_bytes == 0
    assert {name for name, at in newest.items() if told.get(name) != at} <= lost
