"""Jitsi's MediaJSON end to end: a bridge exports two people's Opus, and gets back what jitsi-meet shows."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from captions.models.model import Batch, LaneOutput, LaneTentative, LaneWord
from captions.models.moonshine.model import MoonshineModel
from captions.models.scripted import ScriptedModel
from captions.stream.opus import OpusEncoder
from captions.types import FRAME_SAMPLES
from tests.server.harness import PATIENCE_S, serving
from tests.speech import FIRST_SPEECH_S, dickens

PACKET_SAMPLES = 960


class Guessing(ScriptedModel):
    """Guesses a word for every frame until it says another."""

    def step(self, batch: Batch) -> list[LaneOutput]:
        said = {output.lane: output.events for output in super().step(batch)}
        return [
            LaneOutput(lane, (*said.get(lane, ()), self._guess(lane))) for lane in np.flatnonzero(batch.active).tolist()
        ]

    def _guess(self, lane: int) -> LaneTentative:
        to = len(self._heard[lane]) * FRAME_SAMPLES
        return LaneTentative((LaneWord("guess", to - FRAME_SAMPLES, to),))


def start(tag: str, endpoint: str, encoding: str = "opus") -> str:
    media_format = {"encoding": encoding, "sampleRate": 48_000, "channels": 2}
    parameters = {"endpointId": endpoint}
    body = {"tag": tag, "mediaFormat": media_format, "customParameters": parameters}
    return json.dumps({"event": "start", "sequenceNumber": "1", "start": body})


def spoken(tag: str, seconds: float) -> Iterator[str]:
    """The reader's first words, as the bridge exports RTP: numbers as strings, none of which wraps."""
    encoder = OpusEncoder(24_000)
    pcm = dickens(FIRST_SPEECH_S - 0.3, FIRST_SPEECH_S + seconds)
    for number, at in enumerate(range(0, len(pcm) - PACKET_SAMPLES // 2 + 1, PACKET_SAMPLES // 2)):
        media = {
            "tag": tag,
            "chunk": str(65_530 + number),
            "timestamp": str((1 << 32) - 5_000 + number * PACKET_SAMPLES),
            "payload": b64encode(encoder.encode(pcm[at : at + PACKET_SAMPLES // 2])).decode(),
        }
        yield json.dumps({"event": "media", "sequenceNumber": str(number + 2), "media": media})


def shown(messages: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """What jitsi-meet keeps of each message: its fields stable, unstable and final, the newest of each."""
    kept: dict[str, dict[str, str]] = {}
    for message in messages:
        if message.get("type") == "transcription-result":
            field = "final" if not message["is_interim"] else "stable" if message["stability"] > 0.85 else "unstable"
            kept.setdefault(message["message_id"], {})[field] = message["transcript"][0]["text"]
    return kept


async def told(socket: ClientConnection) -> list[dict[str, Any]]:
    """All that comes until the server hangs up or nothing more is owed."""
    messages = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for payload in socket:
                messages.append(json.loads(payload))
                if messages[-1].get("event") == "pong":
                    break
    except ConnectionClosed:
        pass
    return messages


def words(text: str) -> list[str]:
    return ["".join(letter for letter in word if letter.isalpha()) for word in text.lower().split()]


async def test_two_people_of_a_bridge_get_their_captions_back_and_in_their_room() -> None:
    async with serving(MoonshineModel(2)) as served:
        async with connect(f"{served.url}/v1/jitsi?sessionId=daily&sendBack=true&sendBackInterim=true") as bridge:
            await bridge.send('{"event":"info","application":"jitsi-videobridge"}')
            await bridge.send(start("ada-a0", "ada"))
            await bridge.send(start("bob-a0", "bob"))
            for one, other in zip(spoken("ada-a0", 3.3), spoken("bob-a0", 3.3), strict=True):
                await bridge.send(one)
                await bridge.send(other)
            await bridge.send('{"event":"session-end"}')
            messages: list[dict[str, Any]] = []
            async with asyncio.timeout(PATIENCE_S):
                while len({m["participant"]["id"] for m in messages if not m["is_interim"]}) < 2:
                    messages.append(json.loads(await bridge.recv()))
        _, transcript = await served.get("/v1/rooms/daily/transcript.json")
    finals = {m["participant"]["id"]: m["transcript"][0]["text"] for m in messages if not m["is_interim"]}
    assert words(finals["ada"])[:6] == words(finals["bob"])[:6] == ["it", "was", "the", "best", "of", "times"]
    assert {m["language"] for m in messages} == {"en"}
    for state in shown(messages).values():
        assert state["final"].startswith(state.get("stable", ""))
    assert {segment["participant"]["id"] for segment in json.loads(transcript)} == {"ada", "bob"}


async def test_committed_words_are_stable_on_the_way_and_guesses_are_not() -> None:
    address = "/v1/jitsi?sessionId=daily&sendBack=true&sendBackInterim=true"
    async with serving(Guessing(1)) as served, connect(f"{served.url}{address}") as bridge:
        await bridge.send(start("ada-a0", "ada"))
        for media in spoken("ada-a0", 3.3):
            await bridge.send(media)
        await bridge.send('{"event":"session-end"}')
        messages: list[dict[str, Any]] = []
        async with asyncio.timeout(PATIENCE_S):
            while not messages or messages[-1]["is_interim"]:
                messages.append(json.loads(await bridge.recv()))
    state = shown(messages)[messages[-1]["message_id"]]
    assert state["unstable"].endswith("guess")
    assert state["stable"]
    assert state["final"].startswith(state["stable"])


async def test_what_is_wrong_with_one_source_is_counted_and_the_bridge_still_answered() -> None:
    async with serving() as served, connect(f"{served.url}/v1/jitsi?sessionId=daily") as bridge:
        await bridge.send(b"binary")
        await bridge.send("no JSON")
        await bridge.send(start("eve-a0", "eve", "PCMU"))
        for payload, _ in zip(spoken("eve-a0", 0.1), range(3), strict=False):
            await bridge.send(payload)
        await bridge.send('{"event":"ping","id":5}')
        assert await told(bridge) == [{"event": "pong", "id": 5}]
        codes = ("bad_message", "unsupported_audio", "unknown_track")
        counted = [await served.metric("captions_errors_total", code=code) for code in codes]
    assert counted == [2, 1, 3]


async def test_a_bridge_that_vanishes_leaves_nothing_behind() -> None:
    async with serving() as served:
        bridge = await connect(f"{served.url}/v1/jitsi?sessionId=daily&sendBack=true")
        await bridge.send(start("ada-a0", "ada"))
        await bridge.send('{"event":"ping","id":1}')
        await bridge.recv()
        bridge.transport.abort()
        await served.nothing_held()


async def test_without_a_session_or_with_a_wrong_key_no_bridge_is_let_in() -> None:
    async with serving(keys={"publish": ("secret",)}) as served:
        for query, status in (("", 400), ("sessionId=daily", 401), ("sessionId=daily&key=wrong", 401)):
            with pytest.raises(InvalidStatus) as refusal:
                await connect(f"{served.url}/v1/jitsi?{query}")
            assert refusal.value.response.status_code == status
        async with connect(f"{served.url}/v1/jitsi?sessionId=daily&key=secret") as bridge:
            await bridge.send('{"event":"ping","id":1}')
            assert await told(bridge) == [{"event": "pong", "id": 1}]
