"""What one session takes of its client and what it counts it for, on an engine that is turned by hand."""

from __future__ import annotations

import numpy as np
import pytest

from captions.doors.grant import ANYTHING
from captions.doors.native.messages import (
    Audio,
    ClientMessage,
    Error,
    FlushRequest,
    GapNotice,
    Mute,
    Packets,
    ServerMessage,
    Stop,
    TrackPacket,
    decode_server,
    encode,
)
from captions.doors.native.session import Session
from captions.types import FRAME_SAMPLES, SAMPLE_RATE
from tests.doors.test_published_track import Stage
from tests.server.harness import pcm_f32le, started
from tests.speech import saying, silence


class Client:
    """`send` gives how many commands a message counted for."""

    def __init__(self, stage: Stage) -> None:
        self.told: list[ServerMessage] = []
        self._session = Session(
            stage.service, "msgpack", lambda payload: self.told.append(decode_server(payload)), ANYTHING
        )

    async def send(self, message: ClientMessage) -> int:
        return await self._session.receive(encode(message, "msgpack"))

    def errors(self) -> list[tuple[str, str | None]]:
        return [(said.code, said.track) for said in self.told if isinstance(said, Error)]


def seconds_of_pcm(seconds: float) -> bytes:
    return pcm_f32le(np.zeros(round(seconds * SAMPLE_RATE), np.float32))


@pytest.mark.parametrize("together", [False, True])
async def test_pcm_with_a_number_holds_a_second_at_most_and_more_of_it_is_a_gap_of_its_own(together: bool) -> None:
    stage = Stage()
    client = Client(stage)
    await client.send(started("ada", live=True))

    async def hear(data: bytes, seq: int, at: int) -> int:
        packet = Packets([TrackPacket(1, data, seq, at)]) if together else Audio("ada", data, seq, at)
        return await client.send(packet)

    first = pcm_f32le(np.concatenate([*silence(2), *saying(11), *silence(7)]))
    assert await hear(first, 0, 0) == 0
    assert await hear(seconds_of_pcm(1.0), 1, 12 * FRAME_SAMPLES) == 0
    assert await hear(seconds_of_pcm(10.0), 2, 12 * FRAME_SAMPLES + SAMPLE_RATE) == 1
    assert client.errors() == [("bad_audio", "ada")]
    for number in range(4):
        at = 12 * FRAME_SAMPLES + 11 * SAMPLE_RATE + number * FRAME_SAMPLES
        assert await hear(pcm_f32le(silence(1)[0]), 3 + number, at) == 0
    stage.engine.turn()
    [gap] = [said for said in client.told if isinstance(said, GapNotice)]
    assert (gap.reason, round(gap.end - gap.start, 2)) == ("loss", 10.0)


async def test_pcm_without_a_number_may_be_as_long_as_a_message() -> None:
    stage = Stage()
    client = Client(stage)
    await client.send(started("ada", live=True))
    assert await client.send(Audio("ada", seconds_of_pcm(10.0))) == 0
    assert client.errors() == []


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(("data", "in_time"), [(bytes(8), 801), (bytes(64 << 10), 12)])
async def test_audio_of_unknown_tracks_is_taken_like_that_of_tracks_until_it_comes_too_fast(
    data: bytes, in_time: int, together: bool
) -> None:
    """By its bytes, or what any packet costs: two seconds of it at once, as of a track."""
    client = Client(Stage(pending_audio_s=2.0))
    message: ClientMessage = Packets([TrackPacket(7, data)]) if together else Audio("nobody", data)
    commands = [await client.send(message) for _ in range(1_000)]
    assert in_time <= commands.index(1) <= in_time * 1.1
    assert set(commands[commands.index(1) :]) == {1}
    assert {code for code, _ in client.errors()} == {"unknown_track"}


async def test_what_a_track_that_was_stopped_had_on_its_way_is_no_command() -> None:
    client = Client(Stage())
    await client.send(started("ada", live=True))
    await client.send(Stop("ada"))
    frames = [pcm_f32le(frame) for frame in silence(50)]
    assert [await client.send(Audio("ada", frame)) for frame in frames] == [0] * 50


@pytest.mark.parametrize("command", [Mute("nobody"), FlushRequest("nobody", "f"), Stop("nobody"), started("ada")])
async def test_a_command_that_is_refused_is_one_all_the_same(command: ClientMessage) -> None:
    client = Client(Stage())
    await client.send(started("ada"))
    assert await client.send(command) == 1
    assert len(client.errors()) == 1
