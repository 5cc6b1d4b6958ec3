"""Transcripts of rooms: final segments, bounded, on one clock whatever the tracks' own are."""

from __future__ import annotations

import asyncio
import http.client
import json
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import msgspec
import pytest

from bench.servers.room_server import RoomServer
from captions.config import KeysConfig, RoomsConfig
from captions.doors.native.messages import CaptionWord, Latency, Participant, Segment, Uncaptioned
from captions.rooms.memory import MemoryRooms
from captions.rooms.transcripts import Transcript
from captions.stream.captions import Caption


def segment(name: str, start: float, end: float, *, track: str = "a", zero: float = 0.0, final: bool = True) -> Segment:
    """A segment of a track whose clock began at `zero`."""
    words = [CaptionWord("said", start, end)]
    latency = Latency(word_latency=500.0)
    return Segment(
        "r", track, Participant(track), name, 1, final, start, end, "said", words, latency, said_at=zero + start
    )


def times(transcript: Transcript) -> list[tuple[str, float, float]]:
    return [(said.id, said.start, said.end) for said in transcript.captions()]


def add(transcript: Transcript, *said: Caption) -> None:
    for caption in said:
        transcript.add(caption, msgspec.json.encode(caption).decode())


def test_final_segments_are_kept_and_the_oldest_go_first() -> None:
    transcript = Transcript(2)
    for number in range(3):
        add(transcript, segment(f"{number}", number, number + 0.5, final=False))
        add(transcript, segment(f"{number}", number, number + 0.5))
    assert times(transcript) == [("1", 1.0, 1.5), ("2", 2.0, 2.5)]
    assert transcript.forgotten == 1


@pytest.mark.parametrize("limit", [1, 64, 100, 500])
def test_as_many_are_kept_as_is_configured_packed_or_not(limit: int) -> None:
    transcript = Transcript(limit)
    said = [segment(f"{number:04}", number, number + 0.5) for number in range(400)]
    for number, each in enumerate(said, 1):
        add(transcript, each)
        kept = transcript.captions()
        assert [caption.id for caption in kept] == [caption.id for caption in said[:number][-limit:]]
        assert transcript.forgotten == number - len(kept)


def test_what_tracks_with_clocks_of_their_own_said_comes_out_in_the_order_it_was_said() -> None:
    """Track b began 60 s after a; what b said first was shown last."""
    transcript = Transcript(10)
    add(transcript, segment("a1", 66.5, 67.5, track="a", zero=100.0), segment("b1", 5.0, 6.0, track="b", zero=160.0))
    assert times(transcript) == [("b1", 0.0, 1.0), ("a1", 1.5, 2.5)]


def test_times_count_from_the_first_words_even_if_they_are_the_last_to_be_final() -> None:
    transcript = Transcript(10)
    add(transcript, segment("a1", 1.0, 2.0, zero=100.0, final=False), segment("b1", 4.0, 5.0, track="b", zero=100.0))
    assert times(transcript) == [("b1", 3.0, 4.0)]
    add(transcript, segment("a1", 1.0, 9.0, zero=100.0))
    assert times(transcript) == [("a1", 0.0, 8.0), ("b1", 3.0, 4.0)]


def test_a_track_that_begins_anew_goes_on_where_the_room_is() -> None:
    transcript = Transcript(10)
    add(transcript, segment("a1", 50.0, 51.0, zero=100.0), segment("a2", 0.0, 1.0, zero=160.0))
    assert times(transcript) == [("a1", 0.0, 1.0), ("a2", 10.0, 11.0)]


def test_words_move_with_their_segment_and_latency_is_not_kept() -> None:
    transcript = Transcript(10)
    add(transcript, segment("a1", 10.0, 11.0))
    (said,) = transcript.captions()
    assert isinstance(said, Segment)
    assert said.words == [CaptionWord("said", 0.0, 1.0)]
    assert said.latency == Latency()


def test_what_is_missing_is_in_the_transcript_as_long_as_it_grew() -> None:
    transcript = Transcript(200)
    gap = Uncaptioned("r", "b", Participant("b"), "gap", 7.0, 8.0, "overload", 107.0)
    add(transcript, segment("first", 0.0, 1.0, zero=100.0), gap)
    add(transcript, *(segment(f"{n}", n, n + 0.5, zero=110.0) for n in range(150)))
    add(transcript, msgspec.structs.replace(gap, end=11.0))
    assert times(transcript)[:3] == [("first", 0.0, 1.0), ("gap", 7.0, 11.0), ("0", 10.0, 10.5)]


async def test_a_room_keeps_a_transcript_unless_it_is_turned_off() -> None:
    on, off = (MemoryRooms(RoomsConfig(transcript_segments=kept), 10) for kept in (5, 0))
    for rooms in (on, off):
        rooms.publish(segment("1", 0.0, 1.0), 1.0)
    kept, empty = await on.transcript("r"), await on.transcript("empty")
    assert kept is not None
    assert empty is not None
    assert [said.id for said in kept.captions()] == ["1"]
    assert empty.captions() == []
    assert await off.transcript("r") is None


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
    add(
        transcript,
        segment("a1", 1.0, 2.0),
        msgspec.structs.replace(segment("a2", 2.0, 3.0), participant=Participant("two\nlines")),
        segment("a3", 3.0, float("nan")),
        segment("a4", 4.0, 5.0),
    )
    assert [said.id for said in transcript.captions()] == ["a1", "a4"]


async def test_a_listed_web_page_may_read_a_transcript_and_how_much_is_not_kept() -> None:
    page = "https://meet.example.org"
    async with RoomServer(KeysConfig(publish=("p",), watch=("w",)), origins=(page,)) as server:
        server.publish(segment("1", 0.0, 1.0))
        for key, status in (("w", 200), ("x", 401)):
            url = f"{server.url}/v1/rooms/r/transcript.json?key={key}"
            answer = await asyncio.to_thread(asked_by, page, url)
            assert answer.status == status
            if status == 200:
                assert answer.headers["Access-Control-Allow-Origin"] == page
                assert answer.headers["Access-Control-Expose-Headers"] == "Captions-Forgotten"
                assert answer.headers["Vary"] == "Origin"
        url = f"{server.url}/v1/rooms/r/transcript.json?key=w"
        answer = await asyncio.to_thread(asked_by, "https://evil.example", url)
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers


def asked_by(page: str, url: str) -> http.client.HTTPResponse:
    split = urlsplit(url)
    assert split.hostname is not None
    connection = http.client.HTTPConnection(split.hostname, split.port, timeout=10)
    connection.request("GET", f"{split.path}?{split.query}", headers={"Origin": page})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


async def test_a_transcript_may_do_without_the_times_of_words() -> None:
    async with RoomServer() as server:
        server.publish(segment("1", 0.0, 1.0))
        url = f"{server.url}/v1/rooms/r/transcript.json"
        for query, words in (("", 1), ("?words=false", 0)):
            _, body = await asyncio.to_thread(get, url + query)
            [said] = json.loads(body)
            assert (said["text"], len(said["words"])) == ("said", words)
