"""A server that is late with what it has says so, takes no more, and goes on captioning who is in: in virtual time."""

from __future__ import annotations

import itertools

import pytest

from captions.config import Config, LimitsConfig
from captions.doors.grant import ANYTHING
from captions.doors.native import messages as native
from captions.doors.native.session import Session
from captions.doors.service import Service
from captions.engine.engine import Engine
from captions.engine.runner import runner_of
from captions.metrics import Metrics
from captions.models.scripted import ScriptedModel
from captions.rooms.memory import MemoryRooms
from captions.server.admission import Admission
from captions.server.doorstep import Doorstep
from captions.server.fullness import Fullness
from captions.server.unread_answers import UnreadAnswers
from captions.types import FRAME_S
from tests.server.harness import pcm_f32le, started
from tests.speech import saying

SPEECH = saying(*[3, 7] * 12)


class House:
    """A server without sockets and threads. A step of its model takes `step_s`, an `unheard_s` passes before a turn."""

    def __init__(self, config: Config | None = None) -> None:
        config = config or Config()
        self.now = 50.0
        self.step_s = 0.027
        self.unheard_s = 0.0
        self.said: list[native.ServerMessage] = []
        metrics, ids = Metrics(), itertools.count()
        runner = runner_of(ScriptedModel(8, step_work=self._step), config, self.clock)
        engine = Engine(runner, config, metrics, self.clock, post=lambda call: call())
        rooms = MemoryRooms(config.rooms, config.limits.watchers_per_room)
        self.engine = engine
        self.service = Service(engine, rooms, metrics, config.limits, self.clock, self.clock, lambda: f"{next(ids):04}")
        self.session = Session(self.service, "msgpack", self._hear, ANYTHING)
        unread = UnreadAnswers(config.limits.answer_bytes)
        self.fullness = Fullness(self.service, Admission(config.limits), Doorstep(config.limits.handshakes), unread)

    def clock(self) -> float:
        return self.now

    def _step(self, lanes: int) -> None:
        self.now += self.step_s if lanes else 0.0

    def _hear(self, payload: bytes | str) -> None:
        self.said.append(native.decode_server(payload))

    async def tell(self, message: native.ClientMessage) -> native.ServerMessage:
        """The last answer to it."""
        payload = native.encode(message, "msgpack")
        await self.session.receive(payload)
        return self.said[-1]

    async def talk(self, tracks: list[str], length_s: float, *, loop_late_s: float = 0.0) -> float:
        """All of them at once, and how full the server was at most meanwhile."""
        fullest = 0.0
        began_at = self.now
        for number in range(round(length_s / FRAME_S)):
            self.now = max(self.now, began_at + number * FRAME_S)
            self.fullness.look(loop_late_s)
            fullest = max(fullest, self.fullness.worst())
            for track in tracks:
                await self.tell(native.Audio(track, pcm_f32le(SPEECH[number % len(SPEECH)])))
            self.now += self.unheard_s
            self.engine.turn()
        return fullest

    def words(self, track: str) -> int:
        segments = [said for said in self.said if isinstance(said, native.Segment) and said.track == track]
        return sum(len(segment.words) for segment in {segment.id: segment for segment in segments}.values())


async def talking(config: Config | None = None) -> House:
    """A server in time, in which two talk."""
    house = House(config)
    for track in ("a", "b"):
        assert isinstance(await house.tell(started(track, live=True)), native.Started)
    assert await house.talk(["a", "b"], 5.0) < 0.5
    assert house.fullness.takes_publishers
    return house


async def is_refused(house: House) -> None:
    answer = await house.tell(started("new", live=True))
    assert isinstance(answer, native.Error)
    assert (answer.code, answer.track, answer.fatal) == ("overloaded", "new", False)
    assert not house.fullness.takes_publishers
    assert house.fullness.worst() == 1.0


async def is_taken(house: House) -> None:
    assert house.fullness.takes_publishers
    assert isinstance(await house.tell(started("new", live=True)), native.Started)


async def test_a_late_event_loop_takes_no_more_tracks_until_it_is_in_time_again() -> None:
    house = await talking()
    assert 0.5 < await house.talk(["a", "b"], 10.0, loop_late_s=0.06) < 0.9
    assert house.fullness.takes_publishers
    said = house.words("a")
    assert await house.talk(["a", "b"], 6.0, loop_late_s=0.15) == 1.0
    await is_refused(house)
    assert house.words("a") > said, "who is in keeps their captions"
    await house.talk(["a", "b"], 10.0, loop_late_s=0.08)
    await is_refused(house)
    await house.talk(["a", "b"], 10.0, loop_late_s=0.01)
    await is_taken(house)


async def test_hearing_that_is_late_is_seen() -> None:
    house = await talking()
    house.unheard_s = 0.07
    assert await house.talk(["a", "b"], 10.0) < 0.9
    house.unheard_s = 0.3
    assert await house.talk(["a", "b"], 6.0) == 1.0
    assert house.fullness.shares()["listener"] == 1.0
    await is_refused(house)


async def test_a_model_that_falls_behind_is_seen() -> None:
    house = await talking()
    house.step_s = 0.1
    for frame in SPEECH:
        for track in ("a", "b"):
            await house.tell(native.Audio(track, pcm_f32le(frame)))
    house.engine.turn()
    house.fullness.look(0.0)
    assert house.fullness.shares()["model"] > 0.95
    await is_refused(house)


async def test_a_server_without_tracks_is_never_late_with_them() -> None:
    house = House()
    assert 0.9 < await house.talk([], 10.0, loop_late_s=2.0) < 1.0, "or nobody would be sent to it"
    await is_taken(house)


@pytest.mark.parametrize(("late_s", "refuses"), [(0.05, True), (1.0, False)])
async def test_how_late_is_too_late_can_be_set(late_s: float, refuses: bool) -> None:
    house = await talking(Config(limits=LimitsConfig(late_s=late_s)))
    await house.talk(["a", "b"], 6.0, loop_late_s=0.08)
    assert house.fullness.takes_publishers is not refuses
