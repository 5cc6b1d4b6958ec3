"""Plugins of LiveKit Agents: ours, Deepgram's, OpenAI's, and La Suite Meet's for Kyutai's protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from bench.clients.speaker import Speaker
from bench.load.clips import Clip
from bench.measure.events import SeenWord, TrackLog
from captions.types import SAMPLE_RATE

__all__ = [
    "through_captions_plugin",
    "through_deepgram_plugin",
    "through_gladia_plugin",
    "through_kyutai_plugin",
    "through_openai_plugin",
]

_LAST_WORDS_S = 4.0


async def through_captions_plugin(url: str, clip: Clip) -> TrackLog:
    from captions.livekit import STT

    return await _through(lambda _http: STT(url), clip)


async def through_deepgram_plugin(url: str, clip: Clip) -> TrackLog:
    from livekit.plugins import deepgram

    address = f"{url.replace('ws', 'http', 1)}/v1/listen"
    return await _through(lambda http: deepgram.STT(api_key="none", base_url=address, http_session=http), clip)


async def through_gladia_plugin(url: str, clip: Clip) -> TrackLog:
    """It reads nothing more once its input has ended, so that it is closed instead."""
    from livekit.plugins import gladia

    address = f"{url.replace('ws', 'http', 1)}/v2/live"

    def make(http: Any) -> Any:
        return gladia.STT(
            api_key="none", base_url=address, sample_rate=SAMPLE_RATE, interim_results=True, http_session=http
        )

    return await _through(make, clip, ends=False)


async def through_openai_plugin(url: str, clip: Clip) -> TrackLog:
    from livekit.plugins import openai

    address = f"{url.replace('ws', 'http', 1)}/v1"
    return await _through(lambda _http: openai.STT(api_key="none", base_url=address, use_realtime=True), clip)


async def through_kyutai_plugin(url: str, clip: Clip) -> TrackLog:
    from lasuite.plugins import kyutai

    address = f"{url}/api/asr-streaming"
    return await _through(lambda http: kyutai.STT(base_url=address, api_key="none", http_session=http), clip)


async def _through(make: Callable[[Any], Any], clip: Clip, *, ends: bool = True) -> TrackLog:
    """What a stream of a plugin is told. One that does not end by itself is given a few seconds for its last words."""
    from livekit import rtc

    speaker = Speaker(clip, SAMPLE_RATE)
    async with _http() as session:
        stream = make(session).stream()
        hearing = asyncio.create_task(_hear(stream, speaker))
        async for packet in speaker.packets():
            stream.push_frame(rtc.AudioFrame(packet, SAMPLE_RATE, 1, len(packet) // 2))
        if ends:
            stream.end_input()
        await asyncio.wait([hearing], timeout=_LAST_WORDS_S)
        hearing.cancel()
        await stream.aclose()
    return speaker.log


@asynccontextmanager
async def _http() -> AsyncIterator[Any]:
    import aiohttp
    from livekit.agents import utils

    async with utils.http_context.open(), aiohttp.ClientSession() as session:
        yield session


async def _hear(stream: Any, speaker: Speaker) -> None:
    async for event in stream:
        kind = event.type.value
        if kind in ("interim_transcript", "final_transcript") and event.alternatives:
            best = event.alternatives[0]
            timed = [SeenWord(str(word), word.start_time, word.end_time) for word in best.words or ()]
            if kind == "final_transcript":
                speaker.saw(timed or [SeenWord(text) for text in best.text.split()], final=True)
            else:
                speaker.saw(timed, " ".join(best.text.split()[len(timed) :]))
