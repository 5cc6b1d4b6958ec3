"""Rooms in memory: who watches what is said in them, and what a late watcher is shown."""

from __future__ import annotations

import json

import msgspec
import pytest

from captions.config import RoomsConfig
from captions.doors.native.messages import CaptionWord, Latency, Participant, Segment, Uncaptioned
from captions.rooms.memory import MemoryRooms
from captions.rooms.position import Position
from captions.rooms.room import MOST_LIVE_SEGMENTS
from captions.rooms.rooms import RoomFull


class Screen:
    """A watcher that keeps what it is shown, as (id, revision)."""

    def __init__(self) -> None:
        self.payloads: list[str] = []

    def send(self, payload: str, of: str | None = None) -> None:
        self.payloads.append(payload)

    @property
    def shown(self) -> list[tuple[str, int]]:
        """What is told besides is a gap, as ("missed", 0)."""
        messages = map(json.loads, self.payloads)
        return [(m["id"], m["revision"]) if m["type"] == "segment" else (m["type"], 0) for m in messages]

    @property
    def position(self) -> Position:
        """How far the last message says this is."""
        return Position.parse(json.loads(self.payloads[-1])["position"])


def segment(name: str, revision: int = 0, *, final: bool = False, room: str = "daily", text: str = "It was") -> Segment:
    words = [CaptionWord(word, 1.0, 1.5) for word in text.split()]
    return Segment(room, "t", Participant("p", "Zoé"), name, revision, final, 1.0, 2.0, text, words, Latency())


def without_position(payload: str) -> dict[str, object]:
    fields: dict[str, object] = json.loads(payload)
    del fields["position"]
    return fields


def rooms(history: int = 50, forget_after_s: float = 600.0, watchers: int = 10) -> MemoryRooms:
    return MemoryRooms(RoomsConfig(history_segments=history, forget_after_s=forget_after_s), watchers, lambda: 7.0)


def watching(of: MemoryRooms, room: str = "daily", since: Position | None = None) -> Screen:
    screen = Screen()
    of.watch(room, screen, 0.0, since)
    return screen


def test_everybody_who_watches_sees_every_revision() -> None:
    daily = rooms()
    one, two = watching(daily), watching(daily)
    for revision in (segment("a", 0), segment("a", 1), segment("a", 2, final=True)):
        daily.publish(revision, 0.0)
    assert one.shown == two.shown == [("a", 0), ("a", 1), ("a", 2)]


def test_a_segment_is_shown_whole_and_as_json() -> None:
    daily = rooms()
    screen = watching(daily)
    daily.publish(segment("a", 2, final=True), 0.0)
    assert [json.loads(payload) for payload in screen.payloads] == [
        {
            "type": "segment",
            "room": "daily",
            "track": "t",
            "participant": {"id": "p", "name": "Zoé"},
            "id": "a",
            "revision": 2,
            "final": True,
            "start": 1.0,
            "end": 2.0,
            "text": "It was",
            "words": [{"text": "It", "start": 1.0, "end": 1.5}, {"text": "was", "start": 1.0, "end": 1.5}],
            "latency": {},
            "position": "7000-1",
        }
    ]


def test_rooms_do_not_hear_each_other() -> None:
    of = rooms()
    daily, weekly = watching(of, "daily"), watching(of, "weekly")
    of.publish(segment("a", room="weekly"), 0.0)
    assert (daily.shown, weekly.shown) == ([], [("a", 0)])


def test_a_late_watcher_sees_final_segments_and_then_what_is_under_way() -> None:
    daily = rooms()
    for said in (segment("a", 0), segment("b", 0), segment("b", 1), segment("a", 1, final=True)):
        daily.publish(said, 0.0)
    late = watching(daily)
    assert late.shown == [("a", 1), ("b", 1)]
    daily.publish(segment("b", 2, final=True), 0.0)
    assert late.shown == [("a", 1), ("b", 1), ("b", 2)]


def test_history_keeps_the_newest_final_segments() -> None:
    daily = rooms(history=2)
    for name in "abc":
        daily.publish(segment(name, final=True), 0.0)
    assert watching(daily).shown == [("b", 0), ("c", 0)]


def test_without_history_a_late_watcher_sees_nothing_old() -> None:
    daily = rooms(history=0)
    daily.publish(segment("a", final=True), 0.0)
    assert watching(daily).shown == []


def test_a_withdrawn_segment_is_told_but_not_remembered() -> None:
    daily = rooms()
    screen = watching(daily)
    daily.publish(segment("a", 0, text=""), 0.0)
    daily.publish(segment("a", 1, final=True, text=""), 0.0)
    assert screen.shown == [("a", 0), ("a", 1)]
    assert watching(daily).shown == []


def test_what_is_missing_is_remembered_in_its_place_as_it_grew() -> None:
    daily = rooms()
    screen = watching(daily)
    gap = Uncaptioned("daily", "t", Participant("p"), "b", 1.0, 2.0, "overload", 100.0)
    daily.publish(segment("a", final=True), 0.0)
    daily.publish(gap, 0.0)
    daily.publish(segment("c", final=True), 0.0)
    daily.publish(msgspec.structs.replace(gap, end=4.0), 0.0)
    assert [json.loads(payload)["type"] for payload in screen.payloads] == ["segment", "uncaptioned"] * 2
    late = [(said["id"], said["end"]) for said in map(json.loads, watching(daily).payloads)]
    assert late == [("a", 2.0), ("b", 4.0), ("c", 2.0)]


def test_open_segments_are_bounded_too() -> None:
    daily = rooms()
    for number in range(MOST_LIVE_SEGMENTS + 5):
        daily.publish(segment(str(number)), 0.0)
    shown = watching(daily).shown
    assert (len(shown), shown[0]) == (MOST_LIVE_SEGMENTS, ("5", 0))


def test_who_leaves_sees_nothing_more_and_may_leave_twice() -> None:
    daily = rooms()
    screen = watching(daily)
    daily.leave("daily", screen)
    daily.leave("daily", screen)
    daily.leave("nowhere", screen)
    daily.publish(segment("a"), 0.0)
    assert screen.shown == []


def test_a_full_room_takes_no_more_until_somebody_leaves() -> None:
    daily = rooms(watchers=1)
    first = watching(daily)
    with pytest.raises(RoomFull, match="daily"):
        watching(daily)
    daily.leave("daily", first)
    watching(daily)


def test_a_watcher_may_leave_while_it_is_sent_to() -> None:
    daily = rooms()

    class Fickle(Screen):
        def send(self, payload: str, of: str | None = None) -> None:
            daily.leave("daily", self)

    fickle, faithful = Fickle(), Screen()
    daily.watch("daily", fickle, 0.0)
    daily.watch("daily", faithful, 0.0)
    daily.publish(segment("a"), 0.0)
    assert faithful.shown == [("a", 0)]


def test_an_idle_room_is_forgotten_after_its_time_a_watched_one_never() -> None:
    of = rooms(forget_after_s=10.0)
    of.publish(segment("a", room="spoken"), 0.0)
    of.watch("watched", Screen(), 0.0)
    of.forget_idle(10.0)
    assert len(of) == 2
    of.forget_idle(10.1)
    assert len(of) == 1
    of.publish(segment("a", room="watched"), 20.0)


def test_a_room_that_is_spoken_in_is_remembered() -> None:
    of = rooms(forget_after_s=10.0)
    of.publish(segment("a", final=True), 0.0)
    of.publish(segment("b", final=True), 9.0)
    of.forget_idle(15.0)
    assert watching(of).shown == [("a", 0), ("b", 0)]


async def test_a_transcript_is_the_rooms_own_final_segments() -> None:
    of = rooms()
    of.publish(segment("a", 1), 0.0)
    of.publish(segment("b", 2, final=True), 0.0)
    of.publish(segment("c", 3, final=True, room="weekly"), 0.0)
    daily = await of.transcript("daily")
    assert daily is not None
    assert [kept.id for kept in daily.captions()] == ["b"]
    nobodys = await of.transcript("nobody was here")
    assert nobodys is not None
    assert nobodys.captions() == []


async def test_a_server_that_keeps_no_transcripts_has_none() -> None:
    of = MemoryRooms(RoomsConfig(transcript_segments=0), 10)
    of.publish(segment("b", 2, final=True), 0.0)
    assert await of.transcript("daily") is None


async def test_a_transcript_keeps_as_many_segments_as_are_configured() -> None:
    of = MemoryRooms(RoomsConfig(transcript_segments=2), 10)
    for name in "abc":
        of.publish(segment(name, 1, final=True), 0.0)
    daily = await of.transcript("daily")
    assert daily is not None
    assert ([kept.id for kept in daily.captions()], daily.forgotten) == (["b", "c"], 1)


def test_a_watcher_keeps_an_idle_room_until_it_leaves() -> None:
    of = rooms(forget_after_s=10.0)
    screen = Screen()
    of.publish(segment("a", final=True), 0.0)
    of.watch("daily", screen, 5.0)
    of.forget_idle(100.0)
    assert (len(of), of.watchers) == (1, 1)
    of.leave("daily", screen)
    of.forget_idle(15.0)
    assert len(of) == 1
    of.forget_idle(15.1)
    assert (len(of), of.watchers) == (0, 0)


def test_publishing_gives_back_what_the_watchers_got() -> None:
    of = rooms()
    screen = watching(of)
    published = [of.publish(segment("a", revision), 0.0) for revision in range(3)]
    assert [json.loads(payload) for payload in published] == [without_position(payload) for payload in screen.payloads]


def test_the_oldest_open_segment_is_forgotten_first() -> None:
    of = rooms()
    for number in range(MOST_LIVE_SEGMENTS + 1):
        of.publish(segment(f"s{number:03}"), 0.0)
    shown = [name for name, _ in watching(of).shown]
    assert (shown[0], len(shown)) == ("s001", MOST_LIVE_SEGMENTS)


def test_a_room_nobody_spoke_in_is_gone_with_its_last_watcher() -> None:
    of = rooms()
    one, two = watching(of), watching(of)
    of.leave("daily", one)
    assert len(of) == 1
    of.leave("daily", two)
    assert len(of) == 0


def test_a_room_that_was_spoken_in_outlives_its_watchers() -> None:
    of = rooms()
    screen = watching(of)
    of.publish(segment("a", final=True), 0.0)
    of.leave("daily", screen)
    assert watching(of).shown == [("a", 0)]


def test_who_comes_back_gets_the_rest_and_nothing_twice() -> None:
    daily = rooms()
    daily.publish(segment("a", 0), 0.0)
    first = watching(daily)
    daily.publish(segment("b", 0, final=True), 0.0)
    daily.leave("daily", first)
    for revision in (segment("a", 1), segment("c", 0), segment("a", 2, final=True)):
        daily.publish(revision, 0.0)
    again = watching(daily, since=first.position)
    daily.publish(segment("c", 1), 0.0)
    assert again.shown == [("c", 0), ("a", 2), ("c", 1)]
    daily.leave("daily", again)
    assert watching(daily, since=again.position).shown == []


def test_the_history_says_how_far_it_is_with_its_last_message_only() -> None:
    daily = rooms()
    for name in "abc":
        daily.publish(segment(name, final=True), 0.0)
    messages = [json.loads(payload) for payload in watching(daily).payloads]
    assert [message.get("position") for message in messages] == [None, None, "7000-3"]


def test_who_comes_back_too_late_is_told() -> None:
    daily = rooms(history=2)
    first = watching(daily)
    daily.publish(segment("a", final=True), 0.0)
    for name in "bcd":
        daily.publish(segment(name, final=True), 0.0)
    assert watching(daily, since=Position.parse("7000-1")).shown == [("missed", 0), ("c", 0), ("d", 0)]
    assert watching(daily, since=Position.parse("7000-2")).shown == [("c", 0), ("d", 0)]
    assert first.shown[-1] == ("d", 0)


def test_who_comes_back_to_another_process_is_told() -> None:
    daily = rooms()
    daily.publish(segment("a", final=True), 0.0)
    assert watching(daily, since=Position.parse("6000-1")).shown == [("missed", 0), ("a", 0)]
