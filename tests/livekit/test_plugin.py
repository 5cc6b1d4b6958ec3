"""The LiveKit Agents plugin with the real framework against a real server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

agents = pytest.importorskip("livekit.agents")
rtc = pytest.importorskip("livekit.rtc")

from captions.livekit import STT  # noqa: E402
from captions.models.moonshine.model import MoonshineModel  # noqa: E402
from captions.models.scripted import ScriptedModel  # noqa: E402
from captions.types import Pcm  # noqa: E402
from tests.server.harness import PATIENCE_S, serving, until  # noqa: E402
from tests.speech import FIRST_WORDS, dickens, pcm16, plain, saying, silence  # noqa: E402

RATE = 24_000
QUICKLY = agents.APIConnectOptions(max_retry=20, retry_interval=0.1, timeout=5.0)


def push(stream: Any, frames: Iterable[Pcm]) -> None:
    for pcm in frames:
        stream.push_frame(rtc.AudioFrame(pcm16(pcm), RATE, 1, len(pcm)))


def kinds(events: Iterable[Any]) -> list[str]:
    return [event.type.value for event in events if event.type.value != "recognition_usage"]


def finals(events: Iterable[Any]) -> list[Any]:
    return [event.alternatives[0] for event in events if event.type.value == "final_transcript"]


def used_s(events: Iterable[Any]) -> float:
    return sum(float(event.recognition_usage.audio_duration) for event in events if event.recognition_usage)


def english() -> ScriptedModel:
    model = ScriptedModel(1)
    model.info = replace(model.info, languages=("en",))
    return model


async def events_until(stream: Any, kind: str) -> list[Any]:
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
    assert used_s(events) == pytest.approx(34 * 0.08)


async def test_real_speech_is_a_final_transcript_a_sentence() -> None:
    async with serving(MoonshineModel(1)) as served:
        stream = STT(served.url).stream()
        push(stream, np.split(np.concatenate([dickens(1.0, 4.8), np.zeros(RATE, np.float32)]), 48))
        stream.end_input()
        async with asyncio.timeout(PATIENCE_S):
            events = [event async for event in stream]
    assert plain(" ".join(final.text for final in finals(events))) == FIRST_WORDS


async def test_a_server_that_is_restarted_in_mid_speech_costs_the_session_no_word() -> None:
    async with serving(server={"drain_s": 0.0}) as first:
        port = first.server.port
        stream = STT(first.url).stream(conn_options=QUICKLY)
        push(stream, saying(1, 2, 3))
        before = await events_until(stream, "interim_transcript")
    async with serving(server={"port": port}):
        push(stream, saying(4, 5, 6) + silence(25))
        stream.end_input()
        async with asyncio.timeout(PATIENCE_S):
            after = [event async for event in stream]
    assert kinds(before)[0] == "start_of_speech"
    assert [str(word) for final in finals(before + after) for word in final.words] == [f"w{n}" for n in range(1, 7)]


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
async def test_an_hour_of_silence_is_kept_nowhere_and_speech_after_it_is_captioned() -> None:
    now, second = 0.0, np.zeros(RATE, np.float32)
    events: list[Any] = []
    memory_mb: list[float] = []

    async def read() -> None:
        async for event in stream:
            events.append(event)  # noqa: PERF401 -- what has come is looked at meanwhile

    def all_sent() -> bool:
        return used_s(events) >= now + 60

    patient, roomy = {"hang_s": 3_600.0}, {"pending_audio_s": 120.0}
    async with serving(clock=lambda: now, server=patient, limits=roomy) as served:
        stream = STT(served.url).stream()
        reading = asyncio.create_task(read())
        push(stream, [second] * 60)
        await until(lambda: used_s(events) >= 60)
        for _ in range(59):
            now += 60.0
            push(stream, [second] * 60)
            stream.flush()
            await until(all_sent)
            memory_mb.append(resident_mb())
        assert kinds(events) == []
        now += 60.0
        push(stream, saying(1, 2, 3) + silence(25))
        stream.end_input()
        async with asyncio.timeout(PATIENCE_S):
            await reading
        await served.nothing_held()
    (final,) = finals(events)
    assert (final.text, round(final.start_time)) == ("w1 w2 w3", 3_600)
    assert max(memory_mb) - memory_mb[9] < 40, "150 MB were pushed meanwhile"


@pytest.mark.parametrize(("key", "language"), [("wrong", "en"), ("secret", "fr")])
async def test_what_no_repetition_cures_is_an_error_of_the_framework(key: str, language: str) -> None:
    async with serving(english(), keys={"publish": ("secret",)}) as served:
        stream = STT(served.url, api_key=key, language=language).stream(
            conn_options=agents.APIConnectOptions(max_retry=1, retry_interval=0.01, timeout=1.0)
        )
        push(stream, silence(2))
        with pytest.raises(agents.APIError):
            await events_until(stream, "final_transcript")


async def test_a_live_stream_takes_another_language_from_its_next_words_on() -> None:
    async with serving() as served:
        stt = STT(served.url, language="en")
        stream = stt.stream()
        push(stream, saying(1, 2, 3) + silence(25))
        before = await events_until(stream, "final_transcript")
        stt.update_options(language="fr")
        push(stream, saying(4, 5, 6) + silence(25))
        after = await events_until(stream, "final_transcript")
        await stream.aclose()
    assert [(final.text, final.language) for final in finals(before)] == [("w1 w2 w3", "en")]
    assert [(final.text, final.language) for final in finals(after)] == [("w4 w5 w6", "fr")]


async def test_a_language_that_the_server_does_not_hear_is_refused_and_the_stream_goes_on() -> None:
    async with serving(english()) as served:
        stt = STT(served.url)
        stream = stt.stream()
        push(stream, saying(1, 2, 3))
        await events_until(stream, "interim_transcript")
        with pytest.raises(ValueError, match="hears en only"):
            stt.update_options(language="fr")
        push(stream, silence(25))
        said = await events_until(stream, "final_transcript")
        await stream.aclose()
    assert finals(said)[0].text == "w1 w2 w3"


async def test_a_stream_into_which_nothing_was_pushed_ends_with_its_input() -> None:
    async with serving() as served:
        stream = STT(served.url).stream()
        stream.end_input()
        async with asyncio.timeout(PATIENCE_S):
            assert [event async for event in stream] == []
