"""A server that drains, at each door: last words, a close at which that door's clients connect again, nobody new."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from captions.models.moonshine.model import MoonshineModel
from captions.models.scripted import ScriptedModel
from captions.stream.captions import Segment
from tests.server.harness import PATIENCE_S, Gate, Served, serving, started, until
from tests.server.test_jitsi import spoken as jitsi_spoken
from tests.server.test_jitsi import start as jitsi_start
from tests.server.test_rtp import ADA, RTP, announced, packets, sender
from tests.speech import dickens, saying

WORDS = (1, 2, 3)
SAID = "w1 w2 w3"
ITEM = "conversation.item.input_audio_transcription"
ADDRESSES = {
    "vosk": "/v1/vosk",
    "deepgram": "/v1/listen?encoding=linear16&sample_rate=24000&interim_results=true",
    "gladia": "/v2/live?sample_rate=24000&receive_lifecycle_events=true",
    "openai": "/v1/realtime?intent=transcription",
    "kyutai": "/api/asr-streaming",
    "jitsi": "/v1/jitsi?sessionId=daily&sendBack=true",
    "livekit": "/v1/livekit?room=daily&track=TR_1&sample_rate=24000",
}


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    gate.opened.set()
    yield gate
    gate.opened.set()


def pcm16() -> list[bytes]:
    return [(frame * 32_767).astype("<i2").tobytes() for frame in saying(*WORDS)]


async def until_heard(served: Served, seconds: float) -> None:
    """Wait until the server has taken in so much audio."""
    async with asyncio.timeout(PATIENCE_S):
        while await served.metric("captions_audio_seconds_total") < seconds - 0.001:
            pass


async def to_the_end(socket: ClientConnection) -> tuple[list[Any], int | None]:
    """All that comes, and the close code."""
    said: list[Any] = []
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionClosed):
            while True:
                payload = await socket.recv()
                said.append(
                    msgspec.json.decode(payload) if isinstance(payload, str) else msgspec.msgpack.decode(payload)
                )
    return said, socket.close_code


@asynccontextmanager
async def held(gate: Gate) -> AsyncIterator[tuple[Served, Callable[[], asyncio.Task[None]]]]:
    """A server whose model stands still from here on, so that it cannot come to its end, and what begins its end."""
    async with serving(ScriptedModel(2, step_work=gate), rtp=RTP) as served:
        gate.opened.clear()
        yield served, lambda: asyncio.create_task(served.server.stop())
        gate.opened.set()


async def spoken_at(door: str, payloads: list[bytes | str], gate: Gate) -> tuple[list[Any], int | None]:
    """All that a client was told whose last audio came just before the server's end."""
    async with held(gate) as (served, end), connect(f"{served.url}{ADDRESSES[door]}", proxy=None) as socket:
        for payload in payloads:
            await socket.send(payload)
        await until_heard(served, len(WORDS) * 0.24)
        ending = end()
        await until(lambda: served.server.is_draining)
        gate.opened.set()
        said, code = await to_the_end(socket)
        await ending
    return said, code


async def test_a_client_of_vosk_has_the_rest_as_its_next_reply(gate: Gate) -> None:
    said, code = await spoken_at("vosk", ['{"config": {"sample_rate": 24000}}', *pcm16()], gate)
    assert len(said) == len(pcm16()) + 1
    assert (said[-1]["text"], code) == (SAID, 1001)


async def test_a_client_of_deepgram_has_its_last_final_and_the_metadata(gate: Gate) -> None:
    said, code = await spoken_at("deepgram", [*pcm16()], gate)
    finals = [m for m in said if m["type"] == "Results" and m["is_final"]]
    assert " ".join(filter(None, (m["channel"]["alternatives"][0]["transcript"] for m in finals))) == SAID
    assert finals[-1]["speech_final"]
    assert (said[-1]["type"], said[-1]["duration"], code) == ("Metadata", pytest.approx(0.72), 1001)


async def test_a_client_of_gladia_has_its_last_transcript_and_the_end_of_its_session(gate: Gate) -> None:
    said, code = await spoken_at("gladia", [*pcm16()], gate)
    finals = [m["data"]["utterance"]["text"] for m in said if m["type"] == "transcript" and m["data"]["is_final"]]
    assert (" ".join(finals), said[-1]["type"], code) == (SAID, "end_session", 1001)


async def test_a_client_of_openai_has_its_turn_completed_and_no_error_which_would_keep_it_from_trying_again(
    gate: Gate,
) -> None:
    audio = [json.dumps({"type": "input_audio_buffer.append", "audio": b64encode(block).decode()}) for block in pcm16()]
    said, code = await spoken_at("openai", [*audio], gate)
    kinds = [event["type"] for event in said]
    assert (said[-1]["type"], said[-1]["transcript"], code) == (f"{ITEM}.completed", SAID, 1001)
    assert kinds.count("input_audio_buffer.committed") == 1
    assert "error" not in kinds


async def test_a_client_of_kyutai_has_its_last_words(gate: Gate) -> None:
    audio = [msgspec.msgpack.encode({"type": "Audio", "pcm": frame.tolist()}) for frame in saying(*WORDS)]
    said, code = await spoken_at("kyutai", [*audio], gate)
    assert (" ".join(message["text"] for message in said if message["type"] == "Word"), code) == (SAID, 1001)


async def test_a_rooms_readers_have_the_last_words_of_an_egress_and_of_rtp() -> None:
    async with serving(MoonshineModel(2), rtp=RTP) as served:
        answer = await announced(served, ADA)
        async with connect(f"{served.url}{ADDRESSES['livekit']}", proxy=None) as egress:
            with sender(answer) as udp:
                pcm = (dickens(1.0, 3.0) * 32_767).astype("<i2")
                for number, packet in enumerate(packets(answer["ssrc"], 1.0, 3.0)):
                    udp.send(packet)
                    await egress.send(pcm[number * 480 : number * 480 + 480].tobytes())
                await until_heard(served, 3.9)
            await served.server.stop()
            _, code = await to_the_end(egress)
        kept = await served.server.rooms.transcript("daily")
    assert kept is not None
    texts = {said.track: said.text.lower() for said in kept.captions() if isinstance(said, Segment)}
    assert {track: text[:18] for track, text in texts.items()} == {
        "mic": "it was the best of",
        "TR_1": "it was the best of",
    }
    assert code == 1001


async def test_a_videobridge_has_the_last_results_of_all_its_people() -> None:
    async with serving(MoonshineModel(2)) as served, connect(f"{served.url}{ADDRESSES['jitsi']}", proxy=None) as bridge:
        for name in ("ada", "bob"):
            await bridge.send(jitsi_start(f"{name}-a0", name))
            for payload in jitsi_spoken(f"{name}-a0", 1.8):
                await bridge.send(payload)
        await until_heard(served, 2 * 2.0)
        await served.server.stop()
        said, code = await to_the_end(bridge)
    finals = {m["participant"]["id"]: m["transcript"][0]["text"].lower() for m in said if not m["is_interim"]}
    assert {name: text[:18] for name, text in finals.items()} == {
        "ada": "it was the best of",
        "bob": "it was the best of",
    }
    assert code == 1001


async def test_nobody_new_is_let_in_at_any_door(gate: Gate) -> None:
    async with held(gate) as (served, end), served.talker() as talker:
        await talker.send(started("t1"))
        await talker.speak("t1", saying(*WORDS))
        await until_heard(served, len(WORDS) * 0.24)
        ending = end()
        await until(lambda: served.server.is_draining)
        for address in ADDRESSES.values():
            with pytest.raises(InvalidStatus) as refusal:
                await connect(f"{served.url}{address}", proxy=None)
            assert refusal.value.response.status_code == 503
        assert (await served.ask("POST", "/v1/rtp", {}, json.dumps(ADA)))[0] == 503
        assert (await served.ask("POST", "/v2/live", {}, "{}"))[0] == 503
        gate.opened.set()
        await ending
