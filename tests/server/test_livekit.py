"""LiveKit Track Egress, by a client that sends what LiveKit documents: raw PCM, and mute as JSON text."""

from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from captions.cli.audio_file import blocks
from captions.cli.demo import clip
from captions.client import watch
from captions.config import Config, ServerConfig
from captions.doors.native.messages import Segment
from captions.models.moonshine.model import MoonshineModel
from captions.server.server import Server


async def running() -> Server:
    config = Config(ServerConfig(port=0))
    server = Server(config, MoonshineModel(1))
    await server.start()
    return server


async def test_an_egressed_track_is_captioned_for_its_room() -> None:
    server = await running()
    url = f"ws://127.0.0.1:{server.port}"
    pcm = [(block * 32_767).astype("<i2").tobytes() for block in islice(blocks(clip(), 960, 48_000), 450)]
    try:
        async with watch(url, "salle 1/été") as segments:
            query = "room=salle%201%2F%C3%A9t%C3%A9&track=TR_1&participant=PA_1&name=Ada"
            async with connect(f"{url}/v1/livekit?{query}") as egress:
                await egress.send(json.dumps({"muted": False}))
                for packet in pcm:
                    await egress.send(packet)
                await egress.send(json.dumps({"muted": True}))
                await egress.send(np.full(960, 9_999, "<i2").tobytes())
                await egress.send("no JSON at all")
                async for segment in segments:
                    if isinstance(segment, Segment) and segment.final:
                        break
    finally:
        await server.stop()
    assert isinstance(segment, Segment)
    assert (segment.room, segment.track) == ("salle 1/été", "TR_1")
    assert (segment.participant.id, segment.participant.name) == ("PA_1", "Ada")
    assert segment.text.lower().startswith("it was the best of times")


@pytest.mark.parametrize(
    "query", ["", "room=r", "track=t", "room=r&track=t&sample_rate=1", "room=r&track=t&channels=9"]
)
async def test_a_query_that_does_not_say_what_is_needed_is_refused(query: str) -> None:
    server = await running()
    try:
        with pytest.raises(InvalidStatus) as refusal:
            await connect(f"ws://127.0.0.1:{server.port}/v1/livekit?{query}")
    finally:
        await server.stop()
    assert refusal.value.response.status_code == 400
