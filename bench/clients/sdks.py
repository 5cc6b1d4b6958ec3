"""deepgram-sdk, gladiaio-sdk and openai: the packages of the protocols' own makers."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from bench.clients.speaker import Speaker
from bench.load.clips import Clip
from bench.measure.events import SeenWord, TrackLog
from captions.types import SAMPLE_RATE

__all__ = ["through_deepgram_sdk", "through_gladia_sdk", "through_openai_sdk"]

_DEEPGRAM_RATE = 16_000
_GLADIA_RATE = 16_000
_ITEM = "conversation.item.input_audio_transcription"


async def through_deepgram_sdk(url: str, clip: Clip) -> TrackLog:
    from deepgram import AsyncDeepgramClient
    from deepgram.environment import DeepgramClientEnvironment

    speaker = Speaker(clip, _DEEPGRAM_RATE)
    here = DeepgramClientEnvironment(base=url, production=url, agent=url, agent_rest=url)
    client = AsyncDeepgramClient(api_key="none", environment=here)
    async with client.listen.v1.connect(
        model="any", encoding="linear16", sample_rate=str(_DEEPGRAM_RATE), interim_results="true", punctuate="true"
    ) as stream:

        async def speak() -> None:
            async for packet in speaker.packets():
                await stream.send_media(packet)
            await stream.send_close_stream()

        speaking = asyncio.create_task(speak())
        message: Any
        async for message in stream:
            if message.type == "Results":
                best = message.channel.alternatives[0]
                if not message.is_final:
                    speaker.saw((), best.transcript)
                elif best.words:
                    words = [SeenWord(word.punctuated_word, word.start, word.end) for word in best.words]
                    speaker.saw(words, final=True)
        await speaking
    return speaker.log


async def through_gladia_sdk(url: str, clip: Clip) -> TrackLog:
    from gladiaio_sdk import GladiaClient

    speaker = Speaker(clip, _GLADIA_RATE)
    connected, ended = asyncio.Event(), asyncio.Event()

    def read(message: Any) -> None:
        if message.type == "transcript":
            utterance = message.data.utterance
            if message.data.is_final:
                speaker.saw([SeenWord(word.word, word.start, word.end) for word in utterance.words], final=True)
            else:
                speaker.saw((), utterance.text)

    client = GladiaClient(api_key="none", api_url=url.replace("ws", "http", 1)).live_v2_async()
    session = client.start_session(
        {"sample_rate": _GLADIA_RATE, "channels": 1, "messages_config": {"receive_partial_transcripts": True}}
    )
    session.on("connected")(lambda _message: connected.set())
    session.on("message")(read)
    session.on("ended")(lambda _message: ended.set())
    await connected.wait()
    async for packet in speaker.packets():
        session.send_audio(packet)
    session.stop_recording()
    await ended.wait()
    return speaker.log


async def through_openai_sdk(url: str, clip: Clip) -> TrackLog:
    from openai import AsyncOpenAI

    speaker = Speaker(clip, SAMPLE_RATE)
    client = AsyncOpenAI(api_key="none", base_url=f"{url.replace('ws', 'http', 1)}/v1")
    async with client.realtime.connect(model="any", extra_query={"intent": "transcription"}) as there:

        async def speak() -> None:
            async for packet in speaker.packets():
                await there.input_audio_buffer.append(audio=b64encode(packet).decode())
            await there.input_audio_buffer.commit()

        speaking = asyncio.create_task(speak())
        text: dict[str, str] = {}
        event: Any
        async for event in there:
            if event.type == f"{_ITEM}.delta":
                text[event.item_id] = text.get(event.item_id, "") + event.delta
                speaker.saw(_words(text[event.item_id].split()))
            elif event.type == f"{_ITEM}.completed":
                text.pop(event.item_id, None)
                if event.transcript:
                    speaker.saw(_words(event.transcript.split()), final=True)
                if speaking.done() and not text:
                    break
    return speaker.log


def _words(texts: Sequence[str]) -> list[SeenWord]:
    return [SeenWord(text) for text in texts]
