"""Gladia's live transcription end to end: by hand, by its own client, and by LiveKit's plugin."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from captions.models.moonshine.model import MoonshineModel
from captions.types import SAMPLE_RATE
from tests.server.agents import heard_by_an_agent
from tests.server.harness import PATIENCE_S, Served, serving, until_closed
from tests.speech import FIRST_WORDS, dickens, pcm16, plain, saying, silence

ALL = {
    f"receive_{what}": True
    for what in ("partial_transcripts", "final_transcripts", "speech_events", "acknowledgments", "lifecycle_events")
}
ASKED = {"sample_rate": 24_000, "messages_config": ALL}
RATE = 16_000
STOP = '{"type": "stop_recording"}'


def chunk(audio: bytes) -> str:
    return json.dumps({"type": "audio_chunk", "data": {"chunk": b64encode(audio).decode()}})


async def opened(served: Served, asked: dict[str, Any] = ASKED, key: str = "", query: str = "") -> dict[str, Any]:
    status, body = await served.ask(
        "POST",
        f"/v2/live{query}",
        {"Host": f"127.0.0.1:{served.server.port}"} | ({"X-Gladia-Key": key} if key else {}),
        json.dumps(asked),
    )
    assert status == 201, body
    answer: dict[str, Any] = json.loads(body)
    return answer


async def test_a_session_from_its_request_to_its_end() -> None:
    async with serving() as served:
        session = await opened(served)
        async with connect(session["url"], proxy=None) as socket:
            audio = [pcm16(frame) for frame in saying(1, 2, 3) + silence(25)]
            for number, block in enumerate(audio):
                await socket.send(block if number % 2 else chunk(block))
            await socket.send(STOP)
            await socket.send(STOP)
            said, code = await until_closed(socket)
    kinds = [message["type"] for message in said]
    assert {message["session_id"] for message in said} == {session["id"]}
    assert kinds[0] == "start_recording"
    assert (kinds[-3:], code) == (["end_recording", "post_final_transcript", "end_session"], 1000)
    finals = [m["data"]["utterance"] for m in said if m["type"] == "transcript" and m["data"]["is_final"]]
    assert [utterance["text"] for utterance in finals] == ["w1 w2 w3"]
    assert [word["word"] for word in finals[0]["words"]] == ["w1", "w2", "w3"]
    assert any(m["type"] == "transcript" and not m["data"]["is_final"] for m in said)
    assert [kind for kind in kinds if kind.startswith("speech")] == ["speech_start", "speech_end"]
    acknowledged = [m["data"] for m in said if m["type"] == "audio_chunk"]
    assert acknowledged[1] == {"byte_range": [3_840, 7_680], "time_range": [0.08, 0.16]}
    assert acknowledged[-1]["byte_range"][1] == sum(map(len, audio))
    assert kinds.count("stop_recording") == 1
    assert said[-3]["data"] == {"recording_duration": pytest.approx(34 * 0.08)}


async def test_a_client_is_sent_what_it_asked_for_and_nothing_else() -> None:
    nothing = dict.fromkeys(ALL, False) | {"receive_post_processing_events": False}
    async with serving() as served:
        session = await opened(served, {"sample_rate": 24_000, "messages_config": nothing})
        async with connect(session["url"], proxy=None) as socket:
            for frame in saying(1, 2):
                await socket.send(pcm16(frame))
            await socket.send(STOP)
            assert await until_closed(socket) == ([], 1000)


async def test_what_cannot_be_read_is_told_and_the_session_goes_on() -> None:
    async with serving() as served:
        session = await opened(served)
        async with connect(session["url"], proxy=None) as socket:
            await socket.send("no message")
            await socket.send('{"type": "audio_chunk", "data": {"chunk": "*"}}')
            for frame in saying(1):
                await socket.send(pcm16(frame))
            await socket.send(STOP)
            said, code = await until_closed(socket)
    assert said[0]["type"] == "error"
    assert (said[1]["type"], said[1]["acknowledged"], said[1]["data"]) == ("audio_chunk", False, None)
    assert "chunk" in said[1]["error"]["message"]
    assert [m["data"]["utterance"]["text"] for m in said if m["type"] == "transcript"][-1] == "w1"
    assert code == 1000


async def test_a_key_comes_in_a_ticket_and_a_wrong_one_gets_nowhere() -> None:
    async with serving(keys={"publish": ("secret",), "watch": ("reader",)}) as served:
        for wrong in ("", "wrong", "reader"):
            status, _ = await served.ask("POST", "/v2/live", {"X-Gladia-Key": wrong}, "{}")
            assert status == 401
        session = await opened(served, key="secret")
        assert "secret" not in session["url"]
        async with connect(session["url"], proxy=None) as socket:
            await socket.send(STOP)
            assert (await until_closed(socket))[1] == 1000
        for address in (
            session["url"].partition("token=")[0],
            session["url"].replace("token=g", "token=h"),
            f"{served.url}/v2/live?token=secret",
        ):
            with pytest.raises(InvalidStatus) as refusal:
                await connect(address, proxy=None)
            assert refusal.value.response.status_code == 401


async def test_what_is_not_to_be_had_is_refused_by_name_before_there_is_an_address() -> None:
    async with serving(MoonshineModel(1)) as served:
        for asked, named in (
            ({"language_config": {"languages": ["fr"]}}, "hears en only"),
            ({"encoding": "wav/alaw"}, "encoding"),
            ({"realtime_processing": {"translation": True}}, "translation"),
        ):
            status, body = await served.ask("POST", "/v2/live", {}, json.dumps(asked))
            assert status == 400
            assert named in body
        assert (await served.ask("POST", "/v2/live", {}, "no request"))[0] == 400
        with pytest.raises(InvalidStatus) as refusal:
            await connect(f"{served.url}/v2/live?sample_rate=1", proxy=None)
        assert refusal.value.response.status_code == 400


async def test_of_the_languages_asked_for_the_one_that_is_heard_is_said() -> None:
    async with serving(MoonshineModel(1)) as served:
        session = await opened(served, {"language_config": {"languages": ["fr", "en-GB"]}})
    assert parse_qs(urlsplit(session["url"]).query)["language"] == ["en-GB"]


async def test_the_address_leads_to_the_host_that_was_asked_as_a_proxy_says() -> None:
    async with serving(keys={"publish": ("secret",)}) as served:
        headers = {"Host": "captions.example.org", "X-Forwarded-Proto": "https", "X-Gladia-Key": "secret"}
        status, body = await served.ask("POST", "/v2/live?region=eu-west&room=daily", headers, "{}")
        assert status == 201
        url = urlsplit(json.loads(body)["url"])
        assert (url.scheme, url.netloc, url.path) == ("wss", "captions.example.org", "/v2/live")
        assert parse_qs(url.query)["room"] == ["daily"]
        assert (await served.ask("POST", "/v2/live", headers | {"Host": "a b/"}, "{}"))[0] == 400


async def test_a_full_server_gives_out_no_address_and_lets_nobody_in() -> None:
    async with serving(limits={"tracks": 1}) as served:
        session = await opened(served)
        async with connect(session["url"], proxy=None):
            assert (await served.ask("POST", "/v2/live", {}, "{}"))[0] == 503
            with pytest.raises(InvalidStatus) as refusal:
                await connect(session["url"], proxy=None)
            assert refusal.value.response.status_code == 503


async def test_a_vanished_client_leaves_nothing_behind() -> None:
    async with serving() as served:
        session = await opened(served)
        socket = await connect(session["url"], proxy=None)
        for frame in saying(1, 2):
            await socket.send(pcm16(frame))
        await socket.recv()
        socket.transport.abort()
        await served.nothing_held()


async def test_gladias_own_client_reads_all_of_it() -> None:
    gladia = pytest.importorskip("gladiaio_sdk")
    samples = (dickens(1.0, 4.8, RATE) * 32_767).astype("<i2")
    said: list[Any] = []
    async with serving(MoonshineModel(1), keys={"publish": ("secret",)}) as served:
        address = served.url.replace("ws://", "http://")
        client = gladia.GladiaClient(api_key="secret", api_url=address).live_v2_async()
        session = client.start_session(
            {"sample_rate": RATE, "channels": 1, "messages_config": {"receive_partial_transcripts": True}}
        )
        connected, ended = asyncio.Event(), asyncio.Event()
        session.on("connected")(lambda _message: connected.set())
        session.on("message")(said.append)
        session.on("ended")(lambda _message: ended.set())
        async with asyncio.timeout(PATIENCE_S):
            await connected.wait()
            for start in range(0, len(samples), RATE // 50):
                session.send_audio(samples[start : start + RATE // 50].tobytes())
            session.stop_recording()
            await ended.wait()
    finals = [m.data.utterance for m in said if m.type == "transcript" and m.data.is_final]
    assert plain(" ".join(utterance.text for utterance in finals)) == FIRST_WORDS
    assert said[-1].type == "post_final_transcript"


async def test_livekits_gladia_plugin_hears_speech_begin_words_and_speech_end() -> None:
    async with serving(keys={"publish": ("secret",)}) as served:
        address = f"{served.url.replace('ws', 'http', 1)}/v2/live"
        final = await heard_by_an_agent("gladia", address, sample_rate=SAMPLE_RATE)
    assert [str(word) for word in final.words] == ["w1", "w2", "w3"]
