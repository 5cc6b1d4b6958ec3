"""Kyutai's protocol end to end: a client after Kyutai's file script, and La Suite's LiveKit plugin as it is on PyPI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgpack
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from captions.cli.audio_file import blocks
from captions.cli.demo import clip
from captions.config import Config, KeysConfig, LimitsConfig, ServerConfig
from captions.models.moonshine.model import MoonshineModel
from captions.models.scripted import ScriptedModel
from captions.server.server import Server
from captions.types import FRAME_SAMPLES, SAMPLE_RATE, Pcm
from tests.server.harness import serving as serving_model
from tests.speech import saying

FIRST_SENTENCE = ["it", "was", "the", "best", "of", "times", "it", "was", "the", "worst", "of", "times"]


@asynccontextmanager
async def serving(*, keys: tuple[str, ...] = (), lanes: int = 2) -> AsyncIterator[str]:
    """A server with the CPU default model; its address."""
    config = Config(server=ServerConfig(port=0), keys=KeysConfig(publish=keys), limits=LimitsConfig(tracks=8))
    server = Server(config, MoonshineModel(lanes))
    await server.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        await server.stop()


def speech(seconds: float) -> Pcm:
    """The beginning of the clip, at 24 kHz."""
    pcm = np.concatenate([block for block, _ in zip(blocks(clip(), FRAME_SAMPLES), range(700), strict=False)])
    return pcm[: int(seconds * SAMPLE_RATE)]


def audio(pcm: Pcm) -> bytes:
    """An `Audio` message as msgpack-python packs it with single floats: a map, and 0xca before every sample."""
    floats = np.empty(len(pcm), [("tag", "u1"), ("sample", ">f4")])
    floats["tag"], floats["sample"] = 0xCA, pcm
    return b"\x82\xa4type\xa5Audio\xa3pcm\xdc" + len(pcm).to_bytes(2) + floats.tobytes()


def unpacked(payload: str | bytes) -> dict[str, Any]:
    """One message of the server, which are all binary."""
    assert isinstance(payload, bytes)
    message: dict[str, Any] = msgpack.unpackb(payload)
    return message


def words_of(messages: list[dict[str, Any]]) -> list[str]:
    return ["".join(c for c in m["text"].lower() if c.isalpha()) for m in messages if m["type"] == "Word"]


async def file_script(socket: ClientConnection, pcm: Pcm) -> list[dict[str, Any]]:
    """Kyutai's file script: a second of silence, audio, a Marker, silence until it comes back. What the server said."""

    async def send() -> None:
        await socket.send(audio(np.zeros(SAMPLE_RATE, np.float32)))
        for start in range(0, len(pcm), FRAME_SAMPLES):
            await socket.send(audio(pcm[start : start + FRAME_SAMPLES]))
        await socket.send(msgpack.packb({"type": "Marker", "id": 42}))
        while True:
            await socket.send(audio(np.zeros(FRAME_SAMPLES, np.float32)))
            await asyncio.sleep(0.01)

    sending = asyncio.create_task(send())
    said = []
    async for payload in socket:
        said.append(unpacked(payload))
        if said[-1]["type"] == "Marker":
            break
    sending.cancel()
    return said


async def test_the_file_script_gets_its_marker_after_all_its_words() -> None:
    async with serving() as address, connect(f"ws://{address}/api/asr-streaming") as socket:
        said = await file_script(socket, speech(4.6))
    assert said[0] == {"type": "Ready"}
    assert said[-1] == {"type": "Marker", "id": 42}
    assert words_of(said) == FIRST_SENTENCE
    assert {m["type"] for m in said} == {"Ready", "Word", "EndWord", "Step", "Marker"}
    starts = [m["start_time"] for m in said if m["type"] == "Word"]
    assert starts == sorted(starts)
    assert 1.9 < starts[0] < 2.6


async def test_a_step_for_every_frame_silence_included_and_pauses_that_grow_in_it() -> None:
    async with serving() as address, connect(f"ws://{address}/api/asr-streaming") as socket:
        for _ in range(50):
            await socket.send(audio(np.zeros(FRAME_SAMPLES, np.float32)))
        steps: list[dict[str, Any]] = []
        async for payload in socket:
            message = unpacked(payload)
            steps += [message] if message["type"] == "Step" else []
            if len(steps) == 50:
                break
    assert [step["step_idx"] for step in steps] == list(range(50))
    assert steps[0]["prs"] == [0.0, 0.0, 0.0, 0.0]
    assert steps[20]["prs"] == [1.0, 1.0, 0.0, 0.0]
    assert steps[49]["prs"] == [1.0, 1.0, 1.0, 1.0]


async def test_a_bad_message_is_an_error_and_the_socket_stays_open() -> None:
    async with serving() as address, connect(f"ws://{address}/api/asr-streaming") as socket:
        assert unpacked(await socket.recv()) == {"type": "Ready"}
        for bad in (b"\xc1", "text", msgpack.packb({"type": "OggOpus", "data": b"RIFFRIFF"})):
            await socket.send(bad)
            assert unpacked(await socket.recv())["type"] == "Error"
        await socket.send(msgpack.packb({"type": "Marker", "id": 1}))
        assert unpacked(await socket.recv()) == {"type": "Marker", "id": 1}


@pytest.mark.parametrize("where", ["header", "query"])
async def test_a_key_in_the_header_or_the_query(where: str) -> None:
    async with serving(keys=("secret",)) as address:
        url = f"ws://{address}/api/asr-streaming"
        with pytest.raises(InvalidStatus) as refusal:
            await connect(url)
        assert refusal.value.response.status_code == 401
        headers = {"kyutai-api-key": "secret"} if where == "header" else {}
        async with connect(url if headers else f"{url}?auth_id=secret", additional_headers=headers) as socket:
            assert unpacked(await socket.recv()) == {"type": "Ready"}


async def test_more_clients_than_lanes_are_all_heard() -> None:
    async with serving(lanes=1) as address:

        async def client() -> list[dict[str, Any]]:
            async with connect(f"ws://{address}/api/asr-streaming") as socket:
                return await file_script(socket, speech(4.6))

        transcripts = await asyncio.gather(client(), client(), client())
    assert [words_of(said) for said in transcripts] == [FIRST_SENTENCE] * 3


async def test_lasuites_livekit_plugin_through_a_pause_of_a_minute_and_a_short_last_frame() -> None:
    aiohttp = pytest.importorskip("aiohttp")
    rtc = pytest.importorskip("livekit.rtc")
    plugin = pytest.importorskip("lasuite.plugins.kyutai")
    pcm = speech(4.6)
    pause = np.zeros(60 * SAMPLE_RATE, np.float32)
    talk = np.concatenate([pcm, pause, pcm, np.zeros(1_000, np.float32)])
    heard: list[str] = []
    async with serving(keys=("secret",)) as address, aiohttp.ClientSession() as http:
        stt = plugin.STT(api_key="secret", base_url=f"ws://{address}/api/asr-streaming", http_session=http)
        stream = stt.stream()
        samples = (talk * 32_767).astype(np.int16)
        for start in range(0, len(samples), 480):
            block = samples[start : start + 480]
            stream.push_frame(rtc.AudioFrame(block.tobytes(), SAMPLE_RATE, 1, len(block)))
        stream.flush()
        async for event in stream:
            heard += event.alternatives[0].text.lower().strip(".,").split()
            if len(heard) == 2 * len(FIRST_SENTENCE):
                break
        await stream.aclose()
    assert [word.strip(".,") for word in heard] == FIRST_SENTENCE * 2


@asynccontextmanager
async def scripted() -> AsyncIterator[ClientConnection]:
    """A connection to a server whose model says a word for each tone, half a second behind, and steps in real time."""
    async with (
        serving_model(ScriptedModel(2, delay_frames=6)) as served,
        connect(f"{served.url}/api/asr-streaming", proxy=None) as socket,
    ):
        assert unpacked(await socket.recv()) == {"type": "Ready"}
        yield socket


async def until_marker(socket: ClientConnection) -> list[dict[str, Any]]:
    said = [unpacked(await socket.recv())]
    while said[-1]["type"] != "Marker":
        said.append(unpacked(await socket.recv()))
    return said


async def test_a_marker_in_mid_speech_comes_back_once_the_audio_before_it_and_the_delay_are_through() -> None:
    async with scripted() as socket:
        for frame in saying(*range(1, 7)):
            await socket.send(audio(frame))
        await socket.send(msgpack.packb({"type": "Marker", "id": 3}))
        for frame in saying(*range(7, 20)):
            await socket.send(audio(frame))
        said = await until_marker(socket)
    words = [message["text"] for message in said if message["type"] == "Word"]
    assert words[:6] == ["w1", "w2", "w3", "w4", "w5", "w6"]
    assert "w19" not in words, "it does not wait for the end of the speech"


async def test_a_marker_in_mid_speech_comes_back_though_no_more_audio_does() -> None:
    async with scripted() as socket:
        for frame in saying(*range(1, 7)):
            await socket.send(audio(frame))
        await socket.send(msgpack.packb({"type": "Marker", "id": 3}))
        said = await until_marker(socket)
    assert [message["text"] for message in said if message["type"] == "Word"] == ["w1", "w2", "w3", "w4", "w5", "w6"]


async def test_a_step_tells_how_much_audio_waits() -> None:
    async with scripted() as socket:
        await socket.send(audio(np.zeros(2 * FRAME_SAMPLES + 100, np.float32)))
        steps = [unpacked(await socket.recv()) for _ in range(2)]
    assert [step["buffered_pcm"] for step in steps] == [FRAME_SAMPLES + 100, 100]
