"""OpenAI's realtime transcription end to end: by hand, by its own client, and by the LiveKit plugin of agents."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from captions.models.moonshine.model import MoonshineModel
from captions.types import Pcm
from tests.server.agents import heard_by_an_agent
from tests.server.harness import PATIENCE_S, serving
from tests.speech import FIRST_WORDS, dickens, pcm16, plain, saying, silence

PATH = "/v1/realtime?intent=transcription"
ITEM = "conversation.item.input_audio_transcription"
BUFFER = "input_audio_buffer"
UPDATE: dict[str, Any] = {"type": "session.update", "session": {"type": "transcription", "audio": {"input": {}}}}


def append(frame: Pcm) -> str:
    audio = b64encode(pcm16(frame)).decode()
    return json.dumps({"type": f"{BUFFER}.append", "audio": audio})


async def speak(socket: ClientConnection, frames: Iterable[Pcm]) -> None:
    for frame in frames:
        await socket.send(append(frame))


async def heard(socket: ClientConnection, kind: str) -> list[dict[str, Any]]:
    """All that is said up to an event of a kind."""
    said: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE_S):
        while not said or said[-1]["type"] != kind:
            said.append(json.loads(await socket.recv()))
    return said


def deltas(said: Iterable[dict[str, Any]]) -> str:
    return "".join(event["delta"] for event in said if event["type"] == f"{ITEM}.delta")


async def test_a_turn_from_the_first_speech_to_its_transcript() -> None:
    async with serving() as served, connect(f"{served.url}{PATH}") as socket:
        await speak(socket, saying(1, 2, 3) + silence(25))
        said = await heard(socket, f"{ITEM}.completed")
    kinds = [event["type"] for event in said]
    assert kinds[0] == "session.created"
    assert [kind for kind in kinds if kind.startswith(BUFFER)] == [
        f"{BUFFER}.speech_started",
        f"{BUFFER}.speech_stopped",
        f"{BUFFER}.committed",
    ]
    assert (deltas(said), said[-1]["transcript"]) == ("w1 w2 w3", "w1 w2 w3")
    assert len({event["item_id"] for event in said if "item_id" in event}) == 1
    assert said[-1]["usage"]["seconds"] > 0.3


async def test_a_client_that_ends_turns_itself_commits_them() -> None:
    async with serving() as served, connect(f"{served.url}{PATH}") as socket:
        by_hand = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
        await socket.send(json.dumps({"type": "session.update", "session": by_hand}))
        transcripts, items = [], []
        for numbers in ((1, 2), (3, 4)):
            await speak(socket, saying(*numbers) + silence(12))
            await socket.send(json.dumps({"type": f"{BUFFER}.commit"}))
            said = await heard(socket, f"{ITEM}.completed")
            transcripts.append(said[-1]["transcript"])
            items.append(next(event for event in said if event["type"] == f"{BUFFER}.committed"))
            assert not any("speech" in event["type"] for event in said)
    assert transcripts == ["w1 w2", "w3 w4"]
    assert [item["previous_item_id"] for item in items] == [None, items[0]["item_id"]]


async def test_what_is_cleared_is_not_said() -> None:
    async with serving() as served, connect(f"{served.url}{PATH}") as socket:
        await speak(socket, saying(1, 2))
        await socket.send(json.dumps({"type": f"{BUFFER}.clear"}))
        said = await heard(socket, f"{BUFFER}.cleared")
        assert "w2" not in deltas(said)
        await speak(socket, silence(20) + saying(5, 6) + silence(25))
        said = await heard(socket, f"{ITEM}.completed")
    assert said[-1]["transcript"] == "w5 w6"


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({"type": f"{BUFFER}.commit"}, "input_audio_buffer_commit_empty", None),
        ({"type": "response.create"}, "invalid_value", "type"),
        (
            {
                "type": "session.update",
                "session": {"type": "transcription", "audio": {"input": {"transcription": {"language": "fr"}}}},
            },
            "invalid_value",
            "session.audio.input.transcription.language",
        ),
    ],
)
async def test_what_is_wrong_is_told_by_the_code_that_clients_know_and_the_session_goes_on(
    event: dict[str, Any], code: str, param: str | None
) -> None:
    async with serving(MoonshineModel(1)) as served, connect(f"{served.url}{PATH}") as socket:
        await socket.send(json.dumps(event | {"event_id": "mine"}))
        error = (await heard(socket, "error"))[-1]["error"]
        await socket.send(json.dumps(UPDATE))
        await heard(socket, "session.updated")
    assert (error["type"], error["code"], error["param"], error["event_id"]) == (
        "invalid_request_error",
        code,
        param,
        "mine",
    )


async def test_a_browsers_key_is_in_its_subprotocols() -> None:
    async with serving(keys={"publish": ("secret",)}) as served:
        with pytest.raises(InvalidStatus) as refusal:
            await connect(f"{served.url}{PATH}", additional_headers={"Authorization": "Bearer wrong"})
        assert refusal.value.response.status_code == 401
        offered = [Subprotocol("realtime"), Subprotocol("openai-insecure-api-key.secret")]
        async with connect(f"{served.url}{PATH}", subprotocols=offered) as socket:
            assert socket.subprotocol == "realtime"
            await heard(socket, "session.created")


async def test_a_vanished_client_leaves_nothing_behind() -> None:
    async with serving() as served:
        socket = await connect(f"{served.url}{PATH}")
        await speak(socket, saying(1, 2))
        await heard(socket, f"{BUFFER}.speech_started")
        socket.transport.abort()
        await served.nothing_held()


async def test_openais_own_client_reads_all_of_it() -> None:
    openai = pytest.importorskip("openai")
    async with serving(MoonshineModel(1), keys={"publish": ("secret",)}) as served:
        client = openai.AsyncOpenAI(api_key="secret", base_url=f"{served.url.replace('ws', 'http', 1)}/v1")
        query = {"intent": "transcription"}
        async with client.realtime.connect(model="any", extra_query=query) as there, asyncio.timeout(PATIENCE_S):
            await there.session.update(session=UPDATE["session"])
            for frame in np.split(dickens(1.0, 6.0), 50):
                await there.input_audio_buffer.append(audio=json.loads(append(frame))["audio"])
            events = []
            async for event in there:
                events.append(event)
                if event.type == f"{ITEM}.completed":
                    break
    assert [event.type for event in events[:2]] == ["session.created", "session.updated"]
    assert plain(events[-1].transcript)[: len(FIRST_WORDS)] == FIRST_WORDS
    assert "".join(event.delta for event in events if event.type == f"{ITEM}.delta") == events[-1].transcript


async def test_livekits_openai_plugin_hears_speech_begin_words_and_speech_end() -> None:
    async with serving(keys={"publish": ("secret",)}) as served:
        address = f"{served.url.replace('ws', 'http', 1)}/v1"
        final = await heard_by_an_agent("openai", address, use_realtime=True)
    assert final.text == "w1 w2 w3"
