"""Sources of RTP on a real engine that is turned by hand: whose packets are heard, and when a source is forgotten."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import count

import pytest

from captions.config import Config
from captions.doors.grant import ANYTHING
from captions.doors.rtp.messages import RtpAnswer, RtpRequest
from captions.doors.rtp.session import RtpRefusal, RtpSession
from captions.doors.service import Service
from captions.engine.engine import Engine
from captions.engine.runner import runner_of
from captions.metrics import Metrics
from captions.models.scripted import ScriptedModel
from captions.rooms.memory import MemoryRooms
from captions.stream.opus import OpusEncoder
from captions.types import Pcm
from tests.speech import dickens

SFU, ELSEWHERE = ("127.0.0.1", 4_000), ("127.0.0.1", 4_001)
SPEECH: Pcm = dickens(1.3, 3.3)
FORGET_S = 300.0


class House:
    """One port of RTP, at a time that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        config, metrics, ids = Config(), Metrics(), count()
        runner = runner_of(ScriptedModel(1), config, lambda: self.now)
        self.engine = Engine(runner, config, metrics, lambda: self.now, post=lambda call: call())
        rooms = MemoryRooms(config.rooms, config.limits.watchers_per_room)
        clock = lambda: self.now  # noqa: E731
        service = Service(self.engine, rooms, metrics, config.limits, clock, clock, lambda: f"id{next(ids)}")
        self.session = RtpSession(service, ("127.0.0.1", 5_004), FORGET_S)
        self._dropped = metrics.packets_dropped

    def open(self, track: str = "mic", *, ssrc: int | None = None, payload_type: int | None = None) -> RtpAnswer:
        return self.session.open(RtpRequest("daily", track, None, ssrc, payload_type), ANYTHING)

    def send(self, ssrc: int, packets: int = 1, payload_type: int = 96, address: tuple[str, int] = SFU) -> None:
        encoder = OpusEncoder(24_000)
        for number in range(packets):
            head = struct.pack("!BBHII", 0x80, payload_type, number, number * 960, ssrc)
            payload = encoder.encode(SPEECH[number * 480 : (number + 1) * 480])
            self.session.received(head + payload, address, self.now)
        self.engine.turn()

    def say_bye(self, ssrc: int, address: tuple[str, int] = SFU) -> None:
        self.session.received(struct.pack("!BBHI", 0x81, 203, 1, ssrc), address, self.now)

    def sweep_at(self, now: float) -> int:
        self.now = now
        self.session.sweep(now)
        self.engine.turn()
        assert self.session.sources == self.engine.tracks
        return self.session.sources


def test_a_source_that_says_bye_is_gone_soon_and_a_silent_one_later() -> None:
    house = House()
    leaving, silent = house.open("leaving"), house.open("silent")
    house.send(leaving.ssrc)
    house.send(silent.ssrc)
    house.say_bye(leaving.ssrc)
    assert house.sweep_at(4.0) == 2
    assert house.sweep_at(6.0) == 1
    assert house.sweep_at(FORGET_S - 1.0) == 1
    assert house.sweep_at(FORGET_S + 1.0) == 0


def test_who_sends_on_after_a_bye_has_not_left() -> None:
    house = House()
    answer = house.open()
    house.send(answer.ssrc)
    house.say_bye(answer.ssrc)
    house.send(answer.ssrc)
    assert house.sweep_at(6.0) == 1


def test_a_strangers_bye_ends_nobody() -> None:
    house = House()
    answer = house.open()
    house.send(answer.ssrc)
    house.say_bye(answer.ssrc, ELSEWHERE)
    assert house.sweep_at(6.0) == 1


def test_only_the_first_address_and_the_payload_type_asked_for_are_heard() -> None:
    house = House()
    answer = house.open(payload_type=111)
    house.send(answer.ssrc, 100, payload_type=111)
    before = house.engine.census()
    house.send(answer.ssrc, 100, payload_type=111, address=ELSEWHERE)
    house.send(answer.ssrc, 100, payload_type=112)
    assert house.engine.census() == before
    assert before.lanes_in_use == 1


def test_sources_are_given_out_once() -> None:
    house = House()
    given = {house.open(f"t{number}").ssrc for number in range(50)}
    assert len(given) == 50
    with pytest.raises(RtpRefusal, match="another participant") as refusal:
        house.open(ssrc=min(given))
    assert refusal.value.status == 409


def test_a_holder_has_no_more_sources_than_tracks() -> None:
    house, ada = House(), replace(ANYTHING, holder="ada", tracks=1)
    first = house.session.open(RtpRequest("daily", "one"), ada)
    with pytest.raises(RtpRefusal, match="all the tracks it may") as refusal:
        house.session.open(RtpRequest("daily", "two"), ada)
    assert refusal.value.status == 503
    house.session.close(first.id, ada)
    house.session.open(RtpRequest("daily", "two"), ada)
