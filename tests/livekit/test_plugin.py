"""The LiveKit Agents plugin with the real framework against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

agents = pytest.importorskip("livekit.agents")
rtc = pytest.importorskip("livekit.rtc")

from captions.config import load  # noqa: E402
from captions.livekit import STT  # noqa: E402
from captions.models.moonshine.model import MoonshineModel  # noqa: E402
from captions.server.server import Server  # noqa: E402
from captions.types import Pcm  # noqa: E402
from tests.server.harness import PATIENCE_S, serving  # noqa: E402
from tests.speech import dickens, saying, silence  # noqa: E402

RATE = 24_000
FIRST_WORDS = ["it", "was", "the", "best", "of", "times", "it", "was", "the", "worst", "of", "times"]
QUICKLY = agents.APIConnectOptions(max_retry=20, retry_interval=0.1, timeout=5.0)


def push(stream: Any, frames: Iterable[Pcm]) -> None:
    for pcm in frames:
        samples = (pcm * 32_767).astype("<i2")
        stream.push_frame(rtc.AudioFrame(samples.tobytes(), RATE, 1, len(samples)))


def kinds(events: Iterable[Any]) -> list[str]:
    return [event.type.value for event in events if event.type.value != "recognition_usage"]


def finals(events: Iterable[Any]) -> list[Any]:
    return [event.alternatives[0] for event in events if event.type.value == "final_transcript"]


def plain(text: str) -> list[str]:
    return ["".join(letter for letter in word if letter.isalpha()) for word in text.lower().split()]


async def until(stream: Any, kind: str) -> list[Any]:
    events = []
    async with asyncio.timeout(PATIENCE_S):
        async for event in stream:
            events.append(event)
            if event.type.value == kind:
                break
    return events


async def test_a_session_hears_speech_begin_words_with_their_times_and_speech_end() -> None:
    async with serving(keys={"publish": ("secret",)}) as served:
        stream = STT(served.url, api_key="secret", language="en").stream()
        push(stream, saying(1, 2, 3) + silence(25))
        stream.end_input()
        async with asyncio.timeout(PATIENCE_S):
            events = [event async for event in stream]
    said = kinds(events)
    assert (said[0], said[-1]) == ("start_of_speech", "end_of_speech")
    assert "interim_transcript" in said
    (final,) = finals(events)
    assert (final.text, [str(word) for word in final.words]) == ("w1 w2 w3", ["w1", "w2", "w3"])
    assert [word.start_time for word in final.words] == pytest.approx([0.0, 0.24, 0.48], abs=0.1)
    usage = sum(event.recognition_usage.audio_duration for event in events if event.recognition_usage)
    assert usage == pytest.approx(34 * 0.08)


async def test_real_speech_is_a_final_transcript_a_sentence() -> None:
    async with serving(MoonshineModel(1)) as served:
        stream = STT(served.url).stream()
        push(stream, np.split(np.concatenate([dickens(1.0, 4.8), np.zeros(RATE, np.float32)]), 48))
        stream.end_input()
        async with asyncio.timeout(PATIENCE_S):
            events = [event async for event in stream]
    assert plain(" ".join(final.text for final in finals(events))) == FIRST_WORDS


@asynccontextmanager
async def server_on(port: int) -> AsyncIterator[Server]:
    server = Server(load(None, {}, {"server": {"port": port, "drain_s": 0.0}}), MoonshineModel(1))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def test_a_server_that_is_restarted_in_mid_speech_costs_the_session_what_it_was_told() -> None:
    async with server_on(0) as server:
        port = server.port
        stream = STT(f"ws://127.0.0.1:{port}").stream(conn_options=QUICKLY)
        push(stream, np.split(dickens(1.0, 3.0), 25))
        before = await until(stream, "interim_transcript")
    async with server_on(port):
        push(stream, np.split(np.concatenate([dickens(1.0, 4.8), np.zeros(2 * RATE, np.float32)]), 58))
        after = await until(stream, "final_transcript")
    await stream.aclose()
    assert kinds(before)[0] == "start_of_speech"
    assert plain(finals(after)[-1].text)[-6:] == FIRST_WORDS[-6:]


@pytest.mark.parametrize(("key", "language"), [("wrong", "en"), ("secret", "fr")])
async def test_what_no_repetition_cures_is_an_error_of_the_framework(key: str, language: str) -> None:
    async with serving(MoonshineModel(1), keys={"publish": ("secret",)}) as served:
        stream = STT(served.url, api_key=key, language=language).stream(
            conn_options=agents.APIConnectOptions(max_retry=1, retry_interval=0.01, timeout=1.0)
        )
        push(stream, silence(2))
        with pytest.raises(agents.APIError):
            await until(stream, "final_transcript")


async def test_a_live_stream_takes_another_language_from_its_next_words_on() -> None:
    async with serving() as served:
        stt = STT(served.url, language="en")
        stream = stt.stream()
        push(stream, saying(1, 2, 3) + silence(25))
        before = await until(stream, "final_transcript")
        stt.update_options(language="fr")
        push(stream, saying(4, 5, 6) + silence(25))
        after = await until(stream, "final_transcript")
        await stream.aclose()
    assert [(final.text, final.language) for final in finals(before)] == [("w1 w2 w3", "en")]
    assert [(final.text, final.language) for final in finals(after)] == [("w4 w5 w6", "fr")]


async def test_a_language_that_the_server_does_not_hear_is_refused_and_the_stream_goes_on() -> None:
    async with serving(MoonshineModel(1)) as served:
        stt = STT(served.url)
        stream = stt.stream()
        push(stream, np.split(dickens(1.0, 3.0), 25))
        await until(stream, "interim_transcript")
        with pytest.raises(ValueError, match="hears en only"):
            stt.update_options(language="fr")
        push(stream, np.split(np.concatenate([dickens(3.0, 4.8), np.zeros(2 * RATE, np.float32)]), 38))
        said = await until(stream, "final_transcript")
        await stream.aclose()
    assert plain(finals(said)[0].text)[:6] == FIRST_WORDS[:6]
