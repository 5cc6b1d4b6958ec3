"""Transcripts of rooms: final segments, bounded, on one clock whatever the tracks' own are."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request

import msgspec

from bench.servers.room_server import RoomServer
from captions.config import KeysConfig, RoomsConfig
from captions.doors.native.messages import CaptionWord, Latency, Participant, Segment
from captions.rooms.rooms import Rooms
from captions.rooms.transcripts import Transcript


def segment(
    name: str, start: float, end: float, *, track: str = "a", final: bool = True, latency_ms: float | None = None
) -> Segment:
    words = [CaptionWord("said", start, end)]
    latency = Latency(word_latency=latency_ms)
    return Segment("r", track, Participant(track), name, 1, final, start, end, "said", words, latency)


def times(transcript: Transcript) -> list[tuple[str, float, float]]:
    return [(said.id, said.start, said.end) for said in transcript.segments()]


def add(transcript: Transcript, said: Segment, now: float) -> None:
    transcript.add(said, msgspec.json.encode(said).decode(), now)


def test_final_segments_are_kept_and_the_oldest_go_first() -> None:
    transcript = Transcript(2)
    for number in range(3):
        add(transcript, segment(f"{number}", number, number + 0.5, final=False), now=100.0 + number)
        add(transcript, segment(f"{number}", number, number + 0.5), now=100.5 + number)
    assert [said.id for said in transcript.segments()] == ["1", "2"]


def test_tracks_with_clocks_of_their_own_come_out_on_one() -> None:
    """Track b began 60 s after a; b speaks first, and its words take 2 s to be shown, a's half a second."""
    transcript = Transcript(10)
    add(transcript, segment("b1", 5.0, 6.0, track="b", latency_ms=2_000), now=168.0)
    add(transcript, segment("a1", 66.5, 67.5, track="a", latency_ms=500), now=168.0)
    assert times(transcript) == [("b1", 0.0, 1.0), ("a1", 1.5, 2.5)]


def test_a_segment_without_a_latency_uses_its_tracks_last() -> None:
    transcript = Transcript(10)
    add(transcript, segment("a1", 1.0, 2.0, final=False, latency_ms=1_000), now=103.0)
    add(transcript, segment("a1", 1.0, 2.0), now=110.0)
    add(transcript, segment("a2", 4.0, 5.0), now=200.0)
    assert times(transcript) == [("a1", 0.0, 1.0), ("a2", 3.0, 4.0)]


def test_a_track_that_begins_anew_goes_on_where_the_room_is() -> None:
    transcript = Transcript(10)
    add(transcript, segment("a1", 50.0, 51.0, latency_ms=0), now=151.0)
    add(transcript, segment("a2", 0.0, 1.0, latency_ms=0), now=161.0)
    assert times(transcript) == [("a1", 0.0, 1.0), ("a2", 10.0, 11.0)]


def test_words_move_with_their_segment_and_latency_is_not_kept() -> None:
    transcript = Transcript(10)
    add(transcript, segment("a1", 10.0, 11.0, latency_ms=0), now=11.0)
    (said,) = transcript.segments()
    assert said.words == [CaptionWord("said", 0.0, 1.0)]
    assert said.latency == Latency()


def test_a_room_keeps_a_transcript_unless_it_is_turned_off() -> None:
    on, off = (Rooms(RoomsConfig(transcript_segments=kept), 10) for kept in (5, 0))
    for rooms in (on, off):
        rooms.publish(segment("1", 0.0, 1.0), 1.0)
    kept = on.transcript("r")
    assert kept is not None
    assert [said.id for said in kept] == ["1"]
    assert on.transcript("empty") == []
    assert off.transcript("r") is None


def get(url: str, key: str | None = None) -> tuple[int, bytes]:
    """Status and body of a plain HTTP request."""
    request = urllib.request.Request(url, headers={} if key is None else {"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


async def test_a_transcript_is_for_who_may_watch_the_room() -> None:
    async with RoomServer(KeysConfig(publish=("p",), watch=("w",))) as server:
        server.publish(segment("1", 0.0, 1.0))
        url = f"{server.url}/v1/rooms/r/transcript.txt"
        answers = [await asyncio.to_thread(get, address, key) for address, key in ((url, "w"), (f"{url}?key=w", None))]
        assert answers == [(200, b"a: said\n")] * 2
        for key in (None, "x"):
            assert (await asyncio.to_thread(get, url, key))[0] == 401


async def test_a_server_that_keeps_no_transcripts_says_so() -> None:
    async with RoomServer(rooms=RoomsConfig(transcript_segments=0)) as server:
        status, body = await asyncio.to_thread(get, f"{server.url}/v1/rooms/r/transcript.vtt")
        assert status == 404
        assert b"rooms.transcript_segments" in body


async def test_an_answer_larger_than_a_sockets_buffer_arrives_whole() -> None:
    async with RoomServer() as server:
        status, body = await asyncio.to_thread(get, f"{server.url}/overlay/two_cities.wav")
        assert (status, int.from_bytes(body[4:8], "little") + 8) == (200, len(body))


def test_one_segment_that_cannot_be_read_costs_the_transcript_no_other() -> None:
    transcript = Transcript(10)
    add(transcript, segment("a1", 1.0, 2.0), now=2.0)
    add(transcript, msgspec.structs.replace(segment("a2", 2.0, 3.0), participant=Participant("two\nlines")), now=3.0)
    add(transcript, segment("a3", 3.0, float("nan")), now=4.0)
    add(transcript, segment("a4", 4.0, 5.0), now=5.0)
    assert [said.id for said in transcript.segments()] == ["a1", "a4"]
