"""Reading ahead is bounded in bytes, and what was read ahead of a connection that is lost is forgotten."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress

from websockets.exceptions import ConnectionClosed

from captions.doors.native.messages import Audio, Started
from captions.models.scripted import ScriptedModel
from captions.server.read_ahead import ReadAhead
from tests.server.harness import PATIENCE_S, pcm_f32le, serving, started, until
from tests.speech import saying

MIB = 1 << 20
_BEFORE_KEEPALIVE_S = 18.0


def reset(transport: asyncio.Transport) -> None:
    """Be gone as a killed host is, with a reset."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Reading:
    def __init__(self) -> None:
        self.paused = False
        self.ahead = ReadAhead(lambda: self._set(True), lambda: self._set(False))

    def _set(self, paused: bool) -> None:
        assert paused is not self.paused, "each is called in turn"
        self.paused = paused


def test_reading_pauses_above_the_high_mark_and_goes_on_below_the_low_one() -> None:
    reading = Reading()
    paused = []
    for _ in range(10):
        reading.ahead.came(100_000, last=True)
        paused.append(reading.paused)
    assert paused == [*[False] * 5, *[True] * 5]
    resumed = []
    for _ in range(9):
        reading.ahead.taken()
        resumed.append(not reading.paused)
    assert resumed == [*[False] * 8, True]


def test_a_message_longer_than_the_mark_comes_whole() -> None:
    reading = Reading()
    paused = []
    for piece in range(10):
        reading.ahead.came(100_000, last=piece == 9)
        paused.append(reading.paused)
    reading.ahead.came(100_000, last=False)
    reading.ahead.taken()
    assert [*paused, reading.paused] == [*[False] * 9, True, False]


def test_messages_of_nothing_count_too() -> None:
    reading = Reading()
    for _ in range(MIB):
        reading.ahead.came(0, last=True)
        if reading.paused:
            break
    assert reading.paused


async def test_a_lost_connection_whose_track_waits_for_room_is_forgotten_at_once() -> None:
    """The model stands still, so that there will be no room, and reading is paused: the keepalive takes 20 s."""
    may_step = threading.Event()
    model = ScriptedModel(1, step_work=lambda lanes: lanes == 0 or may_step.wait(PATIENCE_S))  # type: ignore[arg-type]
    async with serving(model, limits={"pending_audio_s": 1.0}) as served:
        try:
            async with served.talker() as client:
                await client.send(started("t1", live=False))
                await client.hear(Started)
                sending = asyncio.create_task(client.speak("t1", saying(1, 2, 3) * 1_000))
                await until(lambda: client.connection.transport.get_write_buffer_size() > 0)
                await asyncio.sleep(0.2)
                assert not sending.done(), "the client is held back"
                reset(client.connection.transport)
                with suppress(ConnectionClosed):
                    await sending
                async with asyncio.timeout(_BEFORE_KEEPALIVE_S):
                    await until(lambda: served.server.census().connections == 0)
                    await until(lambda: served.server.census().publishing == 0)
        finally:
            may_step.set()
        await served.nothing_held()


async def test_what_was_sent_before_a_connection_was_closed_well_is_heard_to_the_end() -> None:
    async with serving() as served:
        async with served.talker() as client:
            await client.send(started("t1", room="closing", live=False))
            await client.hear(Started)
            for frame in saying(1, 2, 3):
                await client.send(Audio("t1", pcm_f32le(frame)))
        await served.nothing_held()
        status, text = await served.get("/v1/rooms/closing/transcript.txt")
        assert status == 200
        assert "w1 w2 w3" in text
