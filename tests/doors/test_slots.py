"""Slots for tracks: those who are here come before those who are gone, the longest gone gives way first."""

from __future__ import annotations

import pytest

from captions.doors.grant import Grant, Right
from captions.doors.slots import NoSlot, Slots

ANN = Grant("publisher", Right.PUBLISH, holder="ann", tracks=3)
BOB = Grant("publisher", Right.PUBLISH, holder="bob")


class House:
    """A server of four slots, whose sessions' tracks go when told to."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.slots = Slots(4, lambda: sum(session.tracks for session in self.sessions))

    def session(self, grant: Grant, tracks: int) -> Session:
        session = Session(grant.holder)
        self.sessions.append(session)
        for _ in range(tracks):
            self.open(session, grant)
        return session

    def open(self, session: Session, grant: Grant) -> None:
        self.slots.take(grant)
        session.tracks += 1

    def close(self, session: Session) -> None:
        session.tracks -= 1
        self.slots.give_back(session)


class Session:
    def __init__(self, holder: str) -> None:
        self.holder = holder
        self.tracks = 0
        self.finished = False

    def finish(self) -> None:
        self.finished = True


def test_there_are_no_more_tracks_than_slots() -> None:
    house = House()
    house.session(BOB, 4)
    with pytest.raises(NoSlot, match="the server"):
        house.session(BOB, 1)
    assert (house.slots.taken, house.slots.can_take, house.slots.make_room()) == (4, False, False)


def test_a_holder_has_no_more_than_its_own() -> None:
    house = House()
    first = house.session(ANN, 3)
    with pytest.raises(NoSlot, match="this key or token"):
        house.session(ANN, 1)
    house.session(BOB, 1)
    house.close(first)
    house.open(first, ANN)
    assert house.slots.taken == 4


def test_the_longest_gone_gives_way_and_no_more_than_has_to() -> None:
    house = House()
    gone = [house.session(BOB, 2), house.session(BOB, 2)]
    for session in gone:
        house.slots.set_aside(session)
    assert house.slots.can_take
    house.session(BOB, 1)
    assert [session.finished for session in gone] == [True, False]


def test_who_came_back_gives_no_way() -> None:
    house = House()
    back = house.session(BOB, 4)
    house.slots.set_aside(back)
    house.slots.called_back(back)
    with pytest.raises(NoSlot):
        house.session(BOB, 1)
    assert not back.finished


def test_a_holders_own_sessions_give_way_to_it() -> None:
    house = House()
    bobs, anns = house.session(BOB, 1), house.session(ANN, 3)
    house.slots.set_aside(bobs)
    house.slots.set_aside(anns)
    house.session(ANN, 1)
    assert (bobs.finished, anns.finished) == (False, True)


def test_tracks_whose_last_words_are_on_their_way_are_bounded_too() -> None:
    house = House()
    first = house.session(BOB, 4)
    house.slots.set_aside(first)
    second = house.session(BOB, 4)
    house.slots.set_aside(second)
    with pytest.raises(NoSlot):
        house.session(BOB, 1)
    for _ in range(4):
        house.close(first)
    house.session(BOB, 1)
    assert second.finished


def test_the_last_tracks_of_who_gave_way_are_not_counted_twice() -> None:
    house = House()
    gone = house.session(ANN, 3)
    house.slots.set_aside(gone)
    here = house.session(ANN, 1)
    for _ in range(3):
        house.close(gone)
    assert house.slots.taken == 1
    house.open(here, ANN)
    house.open(here, ANN)
    with pytest.raises(NoSlot, match="this key or token"):
        house.open(here, ANN)
