"""Random and mutated frames against a live session: no crash, no leak, and everybody else still captioned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from captions.doors.native import messages as native
from captions.doors.native.messages import Audio, Encoding, FlushRequest, Mute, Ping, Start, Stop, Unmute
from tests.server.harness import Served, pcm_f32le, serving
from tests.speech import SILENCE, saying

Payload: TypeAlias = bytes | str

TRACKS = st.sampled_from(["a", "b", "c"])
SPEECH = [pcm_f32le(frame) for frame in (*saying(1, 2, 3), SILENCE)]
MESSAGES = st.one_of(
    st.builds(
        Start,
        room=st.just("fuzzed"),
        track=TRACKS,
        codec=st.sampled_from(["opus", "pcm_s16le", "pcm_f32le"]),
        sample_rate=st.sampled_from([48_000, 24_000, 8_000, 11_025]),
        channels=st.integers(1, 2),
        live=st.booleans(),
    ),
    st.builds(
        Audio,
        track=TRACKS,
        data=st.sampled_from(SPEECH) | st.binary(max_size=200),
        seq=st.none() | st.integers(0, 0xFFFF),
        timestamp=st.none() | st.integers(0, 0xFFFFFFFF),
        captured_at=st.none() | st.floats(),
        level=st.none() | st.integers(0, 127),
    ),
    st.builds(Mute, TRACKS),
    st.builds(Unmute, TRACKS),
    st.builds(FlushRequest, TRACKS, st.just("f")),
    st.builds(Stop, TRACKS),
    st.builds(Ping, st.just("p"), st.none() | st.floats()),
)


@st.composite
def payloads(draw: st.DrawFn) -> list[Payload]:
    """What one client sends: messages, mutated messages and noise, mostly in one encoding."""
    encoding: Encoding = draw(st.sampled_from(["msgpack", "json"]))
    whole = MESSAGES.map(lambda message: native.encode(message, encoding))

    @st.composite
    def mutated(draw: st.DrawFn) -> Payload:
        payload = draw(whole)
        first, last = draw(st.integers(0, len(payload))), draw(st.integers(0, len(payload)))
        if isinstance(payload, str):
            return payload[:first] + draw(st.text(max_size=5)).encode(errors="ignore").decode() + payload[last:]
        return payload[:first] + draw(st.binary(max_size=5)) + payload[last:]

    noise = st.binary(max_size=100) | st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
    return draw(st.lists(whole | whole | mutated() | noise, max_size=30))


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving(limits={"pending_audio_s": 2.0, "message_bytes": 50_000}) as server:
        yield server


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(sent=payloads(), vanishes=st.booleans())
async def test_whatever_is_sent_hurts_nobody_and_leaves_nothing(
    served: Served, sent: list[Payload], vanishes: bool
) -> None:
    frames = saying(1, 2, 3, 4)
    async with served.talker() as other:
        await other.send(Start("daily", "good", "pcm_f32le", None, 24_000))
        await other.speak("good", frames[:6])
        async with connect(f"{served.url}/v1/stream", proxy=None) as fuzzer:
            with suppress(ConnectionClosed):
                for payload in sent:
                    await fuzzer.send(payload)
            if vanishes:
                fuzzer.transport.abort()
        await other.speak("good", frames[6:])
        assert await other.stop("good") == "w1 w2 w3 w4"
        assert other.errors() == []
    await served.nothing_held()
    async with served.talker() as after:
        assert await after.say("after", saying(5, 6)) == "w5 w6"
