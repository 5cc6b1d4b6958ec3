"""What an agent of LiveKit hears of the scripted model, through a plugin of somebody else's for one of our doors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from captions.types import SAMPLE_RATE
from tests.server.harness import PATIENCE_S
from tests.speech import pcm16, saying, silence

__all__ = ["heard_by_an_agent"]

LAST = {"final_transcript", "end_of_speech"}


async def heard_by_an_agent(plugin: str, base_url: str, **options: Any) -> Any:
    """The final transcript of "w1 w2 w3", in the framework's words: it came once, between two ends of speech, after an
    interim one.

    The input is not ended before all has come: some plugins read nothing more then.
    """
    agents = pytest.importorskip("livekit.agents")
    rtc = pytest.importorskip("livekit.rtc")
    module = pytest.importorskip(f"livekit.plugins.{plugin}")
    events: list[Any] = []
    async with agents.utils.http_context.open():
        stt = module.STT(api_key="secret", base_url=base_url, **options)
        stream = stt.stream()
        for frame in saying(1, 2, 3) + silence(25):
            stream.push_frame(rtc.AudioFrame(pcm16(frame), SAMPLE_RATE, 1, len(frame)))
        async with asyncio.timeout(PATIENCE_S):
            async for event in stream:
                events.append(event)
                if {event.type.value for event in events} >= LAST:
                    break
        await stream.aclose()
        await stt.aclose()
    kinds = [event.type.value for event in events if event.type.value != "recognition_usage"]
    assert kinds[0] == "start_of_speech"
    assert "interim_transcript" in kinds
    (final,) = [event.alternatives[0] for event in events if event.type.value == "final_transcript"]
    return final
