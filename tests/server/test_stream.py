"""The native protocol over real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from captions.doors.native.messages import (
    Audio,
    CodecName,
    Encoding,
    Error,
    Flushed,
    FlushRequest,
    GapNotice,
    Limits,
    Mute,
    Participant,
    Ping,
    Pong,
    Ready,
    Segment,
    SpeechNotice,
    Start,
    Started,
    Unmute,
)
from captions.models.moonshine.model import MoonshineModel
from captions.models.moonshine.words import spoken
from captions.models.scripted import ScriptedModel
from captions.stream.opus import OPUS_CLOCK, OpusEncoder
from tests.server.harness import PATIENCE_S, final_text, finals, pcm_f32le, serving, started
from tests.speech import dickens, saying, silence

SENTENCE = "it was the best of times"
PARTS = ("buffer", "model_delay", "lane_wait", "queue", "compute", "send")


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
async def test_ready_comes_first_and_says_what_the_server_can(encoding: Encoding) -> None:
    async with serving(limits={"tracks_per_connection": 7}) as served, served.talker(encoding) as client:
        await client.send(Ping("1"))
        ready, pong = await client.next(), await client.next()
        assert isinstance(ready, Ready)
        limits = Limits(1_048_576, tracks=7, pending_audio_s=20.0, resume_s=0.0, packets=4_096)
        assert ready == Ready(ready.session, ready.secret, "captions.v1", "scripted", ["und"], 480, limits)
        assert isinstance(pong, Pong)


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
async def test_words_come_back_under_their_participant(encoding: Encoding) -> None:
    async with serving() as served, served.talker(encoding) as client:
        assert await client.say("t1", saying(1, 2, 3, 4, 5), name="Zoé") == "w1 w2 w3 w4 w5"
        segments = [message for message in client.said if isinstance(message, Segment)]
        assert {(s.room, s.track, s.participant) for s in segments} == {("daily", "t1", Participant("p-t1", "Zoé"))}
        assert isinstance(client.said[1], Started)


async def test_raw_audio_in_binary_frames_of_a_json_connection() -> None:
    async with serving() as served, served.talker("json") as client:
        await client.send(started("t1"))
        for frame in saying(7, 8, 9):
            await client.connection.send(pcm_f32le(frame))
        assert await client.stop("t1") == "w7 w8 w9"


async def test_audio_in_base64_of_a_json_connection() -> None:
    async with serving() as served, served.talker("json") as client:
        await client.send(started("t1"), started("t2"))
        for frame in saying(7, 8, 9):
            data = base64.b64encode(pcm_f32le(frame)).decode()
            await client.connection.send(json.dumps({"type": "audio", "track": "t2", "data": data}))
        assert [await client.stop(track) for track in ("t1", "t2")] == ["", "w7 w8 w9"]


async def test_many_tracks_on_one_socket_each_get_their_own_words() -> None:
    numbers = {f"t{n}": [n + 10 * k for k in range(4)] for n in range(8)}
    async with serving(ScriptedModel(lanes=3)) as served, served.talker() as client:
        await client.send(*(started(track, room=f"room {track}") for track in numbers))
        for frames in zip(*(saying(*said) + silence(12) for said in numbers.values()), strict=True):
            for track, frame in zip(numbers, frames, strict=True):
                await client.send(Audio(track, pcm_f32le(frame)))
        heard = {track: await client.stop(track) for track in numbers}
        assert heard == {track: " ".join(f"w{n}" for n in said) for track, said in numbers.items()}
        segments = [message for message in client.said if isinstance(message, Segment)]
        assert all(s.room == f"room {s.track}" and s.participant.id == f"p-{s.track}" for s in segments)
        assert client.errors() == []


async def test_two_connections_may_use_the_same_track_name() -> None:
    async with serving() as served, served.talker() as one, served.talker("json") as two:
        first, second = await asyncio.gather(one.say("mic", saying(1, 2, 3)), two.say("mic", saying(4, 5, 6)))
        assert (first, second) == ("w1 w2 w3", "w4 w5 w6")


@pytest.mark.parametrize(
    ("codec", "sample_rate", "channels"),
    [("opus", OPUS_CLOCK, 1), ("pcm_s16le", 48_000, 2), ("pcm_f32le", 44_100, 1)],
)
async def test_real_speech_however_it_is_carried(codec: CodecName, sample_rate: int, channels: int) -> None:
    pcm = dickens(0.8, 2.8, sample_rate)
    blocks = [pcm[at : at + sample_rate // 50] for at in range(0, len(pcm), sample_rate // 50)]
    encoder = OpusEncoder()
    async with serving(MoonshineModel(lanes=1)) as served, served.talker() as client:
        await client.send(Start("daily", "t1", codec, None, sample_rate, channels, live=False))
        for block in blocks:
            if codec == "opus":
                data = encoder.encode(block)
            else:
                many = np.repeat(block, channels)
                data = many.astype("<f4").tobytes() if codec == "pcm_f32le" else (many * 32_767).astype("<i2").tobytes()
            await client.send(Audio("t1", data))
        said = [spoken(word) for word in (await client.stop("t1")).split()]
        assert said == SENTENCE.split()
        assert client.errors() == []


async def test_segments_grow_word_by_word_and_never_change_once_final() -> None:
    async with serving() as served, served.talker() as client:
        await client.say("t1", saying(1, 2, 3, 4, 5, 6) + silence(12))
        seen: dict[str, Segment] = {}
        for segment in (m for m in client.said if isinstance(m, Segment)):
            before = seen.get(segment.id)
            if before is None:
                assert segment.revision == 0
            else:
                assert not before.final
                assert segment.revision == before.revision + 1
                assert segment.words[: len(before.words)] == before.words
            seen[segment.id] = segment
        assert len(seen) == 1
        assert [w.text for s in seen.values() for w in s.words] == ["w1", "w2", "w3", "w4", "w5", "w6"]


async def test_word_times_are_on_the_tracks_clock() -> None:
    async with serving() as served, served.talker() as client:
        await client.say("t1", silence(4) + saying(1, 2, 3) + silence(12))
        [segment] = finals(client.said, "t1")
        assert [(w.start, w.end) for w in segment.words] == [(0.32, 0.4), (0.56, 0.64), (0.8, 0.88)]
        assert (segment.start, segment.end) == (0.32, 0.88)


async def test_ids_sort_by_time() -> None:
    async with serving() as served, served.talker() as client:
        for number in range(3):
            await client.say(f"t{number}", saying(1, 2, 3))
        ids = [m.id for m in client.said if isinstance(m, Segment) and m.final]
        assert len(ids) == 3
        assert ids == sorted(ids)


async def test_the_parts_of_a_words_latency_add_up() -> None:
    async with serving() as served, served.talker() as client:
        await client.say("t1", saying(1, 2, 3, 4) + silence(12))
        blocks = [m.latency for m in client.said if isinstance(m, Segment)]
        words = [block for block in blocks if block.word_latency is not None]
        assert words
        for block in words:
            assert block.word_latency == pytest.approx(sum(getattr(block, part) for part in PARTS), abs=0.05)
        assert [block.first_partial is not None for block in blocks] == [True] + [False] * (len(blocks) - 1)
        assert [block.ttfs is not None for block in blocks] == [False] * (len(blocks) - 1) + [True]
        assert await served.metric("captions_words_total") == 4
        assert await served.metric("captions_word_latency_seconds_count") == 4


async def test_capture_to_caption_where_the_client_tells_its_clock() -> None:
    async with serving() as served, served.talker() as client:
        await client.send(started("t1"), Ping("1", sent_at=5.0))
        for number, frame in enumerate(saying(1, 2, 3)):
            await client.send(Audio("t1", pcm_f32le(frame), captured_at=5.0 + 0.08 * number))
        await client.stop("t1")
        given = [m.latency.capture_to_caption for m in client.said if isinstance(m, Segment)]
        assert any(figure is not None for figure in given)


async def test_speech_is_told_where_it_begins_and_ends() -> None:
    async with serving() as served, served.talker() as client:
        await client.say("t1", silence(5) + saying(1, 2, 3, 4, 5, 6) + silence(12))
        notices = [message for message in client.said if isinstance(message, SpeechNotice)]
        assert [(n.track, n.speaking) for n in notices] == [("t1", True), ("t1", False)]
        assert notices[0].at == pytest.approx(0.4, abs=0.2)
        assert notices[1].at == pytest.approx(1.84, abs=0.3)


async def test_flush_brings_out_everything_said_so_far() -> None:
    async with serving() as served, served.talker() as client:
        await client.send(started("t1"))
        await client.speak("t1", saying(1, 2, 3))
        await client.send(FlushRequest("t1", "f1"))
        assert await client.hear(Flushed) == Flushed("t1", "f1")
        assert final_text(client.said, "t1") == "w1 w2 w3"
        await client.speak("t1", saying(1, 2, 3, 4, 5)[9:])
        assert await client.stop("t1") == "w1 w2 w3 w4 w5"


async def test_flush_of_a_silent_track_is_answered_at_once() -> None:
    async with serving() as served, served.talker() as client:
        await client.send(started("t1"), FlushRequest("t1", "f1"), FlushRequest("t1", "f2"))
        assert [await client.hear(Flushed), await client.hear(Flushed)] == [Flushed("t1", "f1"), Flushed("t1", "f2")]


async def test_a_muted_track_is_not_heard_and_its_words_come_out() -> None:
    async with serving() as served, served.talker() as client:
        await client.send(started("t1"))
        await client.speak("t1", saying(1, 2, 3))
        await client.send(Mute("t1"))
        assert (await client.hear(Segment, lambda s: s.final)).text == "w1 w2 w3"
        await client.speak("t1", saying(20, 21, 22))
        await client.send(Unmute("t1"))
        await client.speak("t1", saying(4, 5, 6))
        assert await client.stop("t1") == "w1 w2 w3 w4 w5 w6"


async def test_ping() -> None:
    async with serving() as served, served.talker() as client:
        await client.send(Ping("p1", 12.5), Ping("p2"))
        first, second = await client.hear(Pong), await client.hear(Pong)
        assert first == Pong("p1", first.received_at, 12.5)
        assert second == Pong("p2", second.received_at)
        assert second.received_at >= first.received_at


async def test_a_stopped_track_may_be_started_again() -> None:
    async with serving() as served, served.talker() as client:
        assert await client.say("t1", saying(1, 2, 3)) == "w1 w2 w3"
        assert await client.say("t1", saying(4, 5, 6)) == "w1 w2 w3 w4 w5 w6"
        assert len({segment.id for segment in finals(client.said, "t1")}) == 2


async def test_silence_says_nothing_and_costs_the_connection_nothing() -> None:
    async with serving() as served, served.talker() as client:
        assert await client.say("t1", silence(100)) == ""
        assert client.errors() == []
        await client.send(Ping("1"))
        await client.hear(Pong)


async def test_silence_longer_than_what_may_be_pending_does_not_hold_the_track_up() -> None:
    async with serving(limits={"pending_audio_s": 1.0}) as served, served.talker() as client:
        assert (
            await client.say("t1", silence(50) + saying(1, 2, 3) + silence(50) + saying(4, 5, 6)) == "w1 w2 w3 w4 w5 w6"
        )


async def test_a_track_that_must_not_drop_audio_is_heard_whole_however_fast_it_is_sent() -> None:
    said = list(range(25))
    async with serving(limits={"pending_audio_s": 0.8}, lanes={"wait_s": 0.5}) as served, served.talker() as client:
        assert await client.say("t1", saying(*said)) == " ".join(f"w{n}" for n in said)
        assert [m for m in client.said if isinstance(m, GapNotice)] == []


async def test_a_live_track_with_more_pending_than_it_may_have_loses_its_oldest_audio_and_is_told() -> None:
    limits, never_ends = {"pending_audio_s": 0.8}, {"hangover_s": PATIENCE_S}
    model, waits = ScriptedModel(lanes=1), {"wait_s": PATIENCE_S}
    async with serving(model, limits=limits, vad=never_ends, lanes=waits) as served, served.talker() as client:
        await client.send(started("first", live=True))
        await client.speak("first", saying(1, 2, 3))
        await client.hear(Segment)
        await client.send(started("waits", live=True))
        await client.speak("waits", saying(10, 11, 12, 13))
        await client.send(FlushRequest("waits", "f"))
        assert await client.stop("first") == "w1 w2 w3"
        await client.hear(Flushed)
        gaps = [m for m in client.said if isinstance(m, GapNotice)]
        assert {(gap.track, gap.reason) for gap in gaps} == {("waits", "overload")}
        assert final_text(client.said, "waits").endswith("w11 w12 w13")
        dropped_s = sum(gap.end - gap.start for gap in gaps)
        assert dropped_s == pytest.approx(0.96 - 0.8, abs=0.081)
        assert await served.metric("captions_dropped_audio_seconds_total", reason="overload") == pytest.approx(
            dropped_s
        )


async def test_a_live_track_that_waits_too_long_for_a_lane_loses_its_oldest_audio_and_is_told() -> None:
    late_s = 0.0
    serves = serving(ScriptedModel(lanes=1), lambda: time.monotonic() + late_s, lanes={"wait_s": 0.2})
    async with serves as served, served.talker() as client:
        await client.send(started("first", live=True))
        await client.speak("first", saying(1, 2, 3))
        await client.hear(Segment)
        await client.send(started("waits", live=True))
        await client.speak("waits", saying(10, 11, 12))
        await client.send(Ping("all of it has come"))
        await client.hear(Pong)
        late_s = 0.3
        await client.speak("first", saying(4, 5, 6))
        await client.send(FlushRequest("waits", "f"))
        await client.hear(Flushed)
        assert {(gap.track, gap.reason) for gap in client.said if isinstance(gap, GapNotice)} == {("waits", "overload")}
        assert await client.stop("first") == "w1 w2 w3 w4 w5 w6"
        assert await client.stop("waits") == ""


async def test_more_tracks_than_a_connection_may_have() -> None:
    async with serving(limits={"tracks_per_connection": 1}) as served, served.talker() as client:
        await client.send(started("t1"), started("t2"))
        error = await client.hear(Error)
        assert (error.code, error.track, error.fatal) == ("too_many_tracks", "t2", False)
        assert await client.say("t1", []) == ""


async def test_more_tracks_than_the_server_may_have() -> None:
    async with serving(limits={"tracks": 1}) as served, served.talker() as one, served.talker() as two:
        await one.send(started("t1"))
        await one.hear(Started)
        await two.send(started("t2"))
        error = await two.hear(Error)
        assert (error.code, error.track, error.fatal) == ("overloaded", "t2", False)
        await one.stop("t1")
        assert await two.say("t2", saying(1, 2, 3)) == "w1 w2 w3"


async def refused(url: str, **headers: str) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        async with connect(url, additional_headers=headers, proxy=None):
            pass
    return refusal.value.response.status_code


async def test_more_connections_than_the_server_takes() -> None:
    async with serving(limits={"connections": 1}) as served, served.talker() as client:
        await client.send(Ping("1"))
        await client.hear(Pong)
        assert await refused(f"{served.url}/v1/stream") == 503


async def test_without_a_publish_key_nobody_publishes() -> None:
    async with serving(keys={"publish": ["pub"], "watch": ["see"]}) as served:
        stream = f"{served.url}/v1/stream"
        assert [
            await refused(stream),
            await refused(stream, Authorization="Bearer wrong"),
            await refused(stream, Authorization="Bearer see"),
            await refused(stream, Authorization="Basic pub"),
            await refused(f"{stream}?key=wrong"),
            await refused(f"{stream}?key="),
            await refused(stream, Authorization="Bearer é"),
        ] == [401] * 7
        assert await served.metric("captions_errors_total", code="unauthorized") == 7
        async with served.talker(key="pub") as client:
            assert await client.say("t1", saying(1, 2, 3)) == "w1 w2 w3"
        async with connect(f"{stream}?key=pub", proxy=None) as connection:
            await connection.send('{"type":"ping","id":"1"}')
            assert json.loads(await connection.recv())["type"] == "ready"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["captions.v1"], "captions.v1"), (["other", "captions.v1"], "captions.v1"), (["other"], None), (None, None)],
)
async def test_the_subprotocol_is_ours_if_offered(offered: list[str] | None, chosen: str | None) -> None:
    subprotocols = None if offered is None else [Subprotocol(name) for name in offered]
    async with (
        serving() as served,
        connect(f"{served.url}/v1/stream", subprotocols=subprotocols, proxy=None) as connection,
    ):
        assert connection.subprotocol == chosen
        await connection.send('{"type":"ping","id":"1"}')
        assert json.loads(await connection.recv())["protocol"] == "captions.v1"


async def test_no_word_name_or_key_gets_into_the_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="captions")
    caplog.set_level(logging.INFO, logger="websockets")
    async with serving(keys={"publish": ["secret-key"]}) as served, served.talker(key="secret-key") as client:
        assert await client.say("t1", saying(41, 42, 43), name="Zoé") == "w41 w42 w43"
        await client.connection.send(b"\xc1")
        await client.hear(Error)
    logged = "".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "listening" in logged
    assert not [private for private in ("w41", "w42", "Zoé", "secret-key") if private in logged]
