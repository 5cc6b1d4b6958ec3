"""Deepgram's protocol end to end: by hand, by its own client, and by the LiveKit plugin that agents have."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from captions.models.moonshine.model import MoonshineModel
from captions.types import SAMPLE_RATE
from tests.server.agents import heard_by_an_agent
from tests.server.harness import PATIENCE_S, serving, until_closed
from tests.speech import FIRST_WORDS, dickens, pcm16, plain, saying, silence

QUERY = "encoding=linear16&sample_rate=24000&interim_results=true&punctuate=true&vad_events=true&utterance_end_ms=1000"
RATE = 16_000


def final_text(said: Iterable[dict[str, Any]]) -> str:
    results = (m for m in said if m["type"] == "Results" and m["is_final"])
    return " ".join(filter(None, (m["channel"]["alternatives"][0]["transcript"] for m in results)))


async def test_a_stream_from_its_first_word_to_its_metadata() -> None:
    async with serving() as served, connect(f"{served.url}/v1/listen?{QUERY}") as socket:
        await socket.send('{"type": "KeepAlive"}')
        for frame in saying(1, 2, 3) + silence(25):
            await socket.send(pcm16(frame))
        await socket.send('{"type": "CloseStream"}')
        said, code = await until_closed(socket)
    kinds = [message["type"] for message in said]
    assert (kinds[0], kinds[-1], code) == ("SpeechStarted", "Metadata", 1000)
    assert final_text(said) == "w1 w2 w3"
    *_, last = [m for m in said if m["type"] == "Results" and m["channel"]["alternatives"][0]["words"]]
    assert last["speech_final"]
    assert last["channel"]["alternatives"][0]["words"][-1]["punctuated_word"] == "w3"
    assert {m["last_word_end"] for m in said if m["type"] == "UtteranceEnd"} == {0.56}
    assert said[-1]["duration"] == pytest.approx(34 * 0.08)


async def test_finalize_brings_out_what_was_heard_and_says_so() -> None:
    async with serving() as served, connect(f"{served.url}/v1/listen?{QUERY}") as socket:
        for frame in saying(1, 2, 3):
            await socket.send(pcm16(frame))
        await socket.send('{"type": "Finalize"}')
        said: list[dict[str, Any]] = []
        async with asyncio.timeout(PATIENCE_S):
            while not (said and said[-1].get("from_finalize")):
                said.append(json.loads(await socket.recv()))
        assert final_text(said) == "w1 w2 w3"
        await socket.send('{"type": "Finalize"}')
        async with asyncio.timeout(PATIENCE_S):
            while not said[-1].get("from_finalize") or final_text(said[-1:]):
                said.append(json.loads(await socket.recv()))
    assert final_text(said) == "w1 w2 w3", "nothing is said twice"


async def test_a_text_frame_that_is_no_command_is_an_error_and_the_stream_goes_on() -> None:
    async with serving() as served, connect(f"{served.url}/v1/listen?{QUERY}") as socket:
        await socket.send("no command")
        await socket.send(b"")
        said, code = await until_closed(socket)
    assert [message["type"] for message in said] == ["Error", "Metadata"]
    assert code == 1000


async def test_another_language_is_refused_by_name() -> None:
    async with serving(MoonshineModel(1)) as served, connect(f"{served.url}/v1/listen?{QUERY}&language=fr") as socket:
        said, code = await until_closed(socket)
    assert (said[0]["type"], code) == ("Error", 1008)
    assert "hears en only" in said[0]["description"]


async def test_a_bad_key_a_bad_query_and_a_full_server_are_refused_before_the_socket_opens() -> None:
    async with serving(keys={"publish": ("secret",)}, limits={"tracks": 1}) as served:
        good = {"Authorization": "Token secret"}
        for query, headers, status in (
            (QUERY, {"Authorization": "Token wrong"}, 401),
            (f"{QUERY}&diarize=true", good, 400),
        ):
            with pytest.raises(InvalidStatus) as refusal:
                await connect(f"{served.url}/v1/listen?{query}", additional_headers=headers)
            assert refusal.value.response.status_code == status
        async with connect(f"{served.url}/v1/listen?{QUERY}", additional_headers=good):
            with pytest.raises(InvalidStatus) as refusal:
                await connect(f"{served.url}/v1/listen?{QUERY}", additional_headers=good)
            assert refusal.value.response.status_code == 503


async def test_a_vanished_client_leaves_nothing_behind() -> None:
    async with serving() as served:
        socket = await connect(f"{served.url}/v1/listen?{QUERY}")
        for frame in saying(1, 2):
            await socket.send(pcm16(frame))
        await socket.recv()
        socket.transport.abort()
        await served.nothing_held()


async def test_deepgrams_own_client_reads_all_of_it() -> None:
    deepgram = pytest.importorskip("deepgram")
    environment = pytest.importorskip("deepgram.environment")
    samples = (dickens(1.0, 4.8, RATE) * 32_767).astype("<i2")
    async with serving(MoonshineModel(1), keys={"publish": ("secret",)}) as served:
        here = environment.DeepgramClientEnvironment(
            base=served.url, production=served.url, agent=served.url, agent_rest=served.url
        )
        client = deepgram.AsyncDeepgramClient(api_key="secret", environment=here)
        options = {"model": "nova-3", "encoding": "linear16", "sample_rate": str(RATE), "interim_results": "true"}
        async with client.listen.v1.connect(**options) as stream, asyncio.timeout(PATIENCE_S):
            for start in range(0, len(samples), RATE // 50):
                await stream.send_media(samples[start : start + RATE // 50].tobytes())
            await stream.send_keep_alive()
            await stream.send_close_stream()
            said = [message async for message in stream]
    finals = [m.channel.alternatives[0] for m in said if m.type == "Results" and m.is_final]
    assert plain(" ".join(best.transcript for best in finals)) == FIRST_WORDS
    assert said[-1].type == "Metadata"


async def test_livekits_deepgram_plugin_hears_speech_begin_words_and_speech_end() -> None:
    async with serving(keys={"publish": ("secret",)}) as served:
        address = f"{served.url.replace('ws', 'http', 1)}/v1/listen"
        final = await heard_by_an_agent("deepgram", address, sample_rate=SAMPLE_RATE)
    assert (final.text, [str(word) for word in final.words]) == ("w1 w2 w3", ["w1", "w2", "w3"])
