"""A published track on a real engine that is turned by hand: who is told what, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import msgspec
import numpy as np
import pytest

from captions.config import Config, LimitsConfig
from captions.doors.captioner import TrackNews
from captions.doors.published_track import PublishedTrack
from captions.doors.service import Service
from captions.engine.engine import Engine
from captions.engine.orders import HearingEvent, Taken
from captions.engine.runner import runner_of
from captions.metrics import Metrics
from captions.models.scripted import ScriptedModel
from captions.rooms.memory import MemoryRooms
from captions.stream.captions import GapNotice, Participant, Segment, SpeechNotice
from captions.stream.codec import Codec
from captions.stream.timeline import Packet
from captions.types import FRAME_SAMPLES, SAMPLE_RATE, Flushed, Pcm, TrackEvent, Word
from tests.server.harness import pcm_f32le
from tests.speech import saying, silence


@dataclass
class Owner:
    """Remembers what it was told, in order."""

    told: list[Any] = field(default_factory=list)
    room_json: list[str | None] = field(default_factory=list)

    def show(self, news: TrackNews, room_json: str | None) -> None:
        self.told.append(news)
        self.room_json.append(room_json)

    def flushed(self, track: PublishedTrack, flush_id: str) -> None:
        self.told.append(f"flushed {flush_id}")

    def ended(self, track: PublishedTrack) -> None:
        self.told.append(f"{track.name} ended")

    def shown(self) -> list[tuple[TrackNews, str | None]]:
        return list(zip(self.told, self.room_json, strict=True))

    def text(self) -> str:
        return " ".join(news.text for news in self.told if isinstance(news, Segment) and news.final)


@dataclass
class Beside:
    events: list[HearingEvent | TrackEvent] = field(default_factory=list)

    def heard(self, event: HearingEvent) -> None:
        self.events.append(event)

    def said(self, events: Sequence[TrackEvent]) -> None:
        self.events += events


@dataclass(eq=False)
class Wall:
    """A watcher of a room."""

    seen: list[str] = field(default_factory=list)

    def send(self, payload: str, of: str | None = None) -> None:
        self.seen.append(payload)


class Stage:
    """A service whose engine takes its turns by hand."""

    def __init__(
        self, *, pending_audio_s: float = 20.0, pending_bytes: int = 64 << 20, most_waiting: int = 1_000
    ) -> None:
        config = Config(limits=LimitsConfig(pending_audio_s=pending_audio_s, pending_bytes=pending_bytes))
        metrics = self.metrics = Metrics()
        self.engine = Engine(
            runner_of(ScriptedModel(lanes=1, delay_frames=2), config, lambda: 0.0, most_waiting),
            config,
            metrics,
            lambda: 0.0,
            post=lambda call: call(),
            most_waiting=most_waiting,
        )
        self.rooms = MemoryRooms(config.rooms, 10)
        numbers = count()
        self.service = Service(
            self.engine, self.rooms, metrics, config.limits, lambda: 0.0, lambda: 0.0, lambda: f"s{next(numbers)}"
        )
        self.owner = Owner()
        self.beside = Beside()

    def publish(
        self,
        *,
        room: str | None = "daily",
        live: bool = True,
        codec: Codec = Codec("pcm_f32le", SAMPLE_RATE),  # noqa: B008 -- it is frozen
    ) -> PublishedTrack:
        return PublishedTrack(
            self.service,
            self.owner,
            room=room,
            name="ada",
            participant=Participant("ada"),
            codec=codec,
            live=live,
            beside=self.beside,
        )

    def gaps(self) -> list[GapNotice]:
        return [news for news in self.owner.told if isinstance(news, GapNotice)]

    def refused(self) -> float:
        """Packets that came too fast."""
        samples = self.metrics.registry.get_sample_value
        return samples("captions_packets_dropped_total", {"reason": "too_fast"}) or 0.0

    def hear(self, track: PublishedTrack, frames: Sequence[Pcm]) -> None:
        for frame in frames:
            track.hear(Packet(pcm_f32le(frame), 0.0))
        self.engine.turn()


def test_a_track_that_ends_says_its_last_words_and_is_gone() -> None:
    stage = Stage()
    track = stage.publish()
    stage.hear(track, saying(11, 12))
    track.end()
    track.end()
    assert (track.is_ending, stage.engine.tracks) == (True, 1)
    stage.engine.turn()
    assert (stage.owner.text(), stage.owner.told[-1]) == ("w11 w12", "ada ended")
    assert stage.owner.told.count("ada ended") == 1
    assert stage.engine.tracks == 0


def test_what_is_said_elsewhere_too_reaches_no_reader_of_the_room_from_here() -> None:
    stage, wall = Stage(), Wall()
    stage.rooms.watch("daily", wall, 0.0)
    track = stage.publish()
    frames = saying(11, 12, 13)
    for frame in frames:
        track.hear(Packet(pcm_f32le(frame), 0.0))
    ends = [event for event in stage.beside.events if isinstance(event, Word)]
    assert not ends, "nothing has been said yet"
    track.end(at_s=4 * FRAME_SAMPLES / SAMPLE_RATE)
    stage.engine.turn()
    said = [event for event in stage.beside.events if isinstance(event, Word)]
    own = [word.text for word in said if word.start < 4 * FRAME_SAMPLES]
    assert 0 < len(own) < len(said)
    newest = {segment.id: segment for segment in (msgspec.json.decode(seen, type=Segment) for seen in wall.seen)}
    assert [word.text for segment in newest.values() for word in segment.words] == own
    assert stage.owner.text().split() == own
    assert stage.owner.told[-1] == "ada ended"


def test_segments_go_to_the_room_first_and_the_owner_gets_them_as_the_room_has_them() -> None:
    stage, wall = Stage(), Wall()
    stage.rooms.watch("daily", wall, 0.0)
    track = stage.publish()
    stage.hear(track, [*saying(11), *silence(10)])
    given = [payload for payload in stage.owner.room_json if payload is not None]
    assert [msgspec.json.decode(payload, type=Segment) for payload in given] == [
        msgspec.structs.replace(msgspec.json.decode(payload, type=Segment), position="") for payload in wall.seen
    ]
    assert [type(news) for news, json in stage.owner.shown() if json is None] == [SpeechNotice, SpeechNotice]
    assert [type(news) for news, json in stage.owner.shown() if json is not None] == [Segment] * len(wall.seen)
    assert len(wall.seen) > 0


def test_a_track_without_a_room_is_private() -> None:
    stage = Stage()
    stage.hear(stage.publish(room=None), [*saying(11), *silence(10)])
    assert stage.owner.text() == "w11"
    assert set(stage.owner.room_json) == {None}
    assert len(stage.rooms) == 0


def test_a_muted_or_ending_track_hears_nothing() -> None:
    stage = Stage()
    track = stage.publish()
    track.mute()
    stage.hear(track, saying(11))
    track.unmute()
    stage.hear(track, saying(12))
    track.end()
    stage.hear(track, saying(13))
    assert stage.owner.text() == "w12"


def test_a_flush_is_told_behind_its_words() -> None:
    stage = Stage()
    track = stage.publish()
    stage.hear(track, saying(11))
    track.flush("f")
    stage.engine.turn()
    assert [told for told in stage.owner.told if not isinstance(told, SpeechNotice)][-1] == "flushed f"
    assert stage.owner.text() == "w11"


def test_whoever_stands_beside_gets_every_event() -> None:
    stage = Stage()
    track = stage.publish()
    stage.hear(track, saying(11))
    track.flush("f")
    stage.engine.turn()
    assert [event.text for event in stage.beside.events if isinstance(event, Word)] == ["w11"]
    assert Flushed("f") in stage.beside.events


def test_pcm_of_many_seconds_is_heard_in_pieces_of_one_and_loses_no_word() -> None:
    stage = Stage()
    track = stage.publish()
    speech = pcm_f32le(np.concatenate([*silence(20), *saying(11), *silence(20), *saying(12), *silence(10)]))
    assert track.hear(Packet(speech, 0.0, captured_at=5.0))
    stage.engine.turn()
    assert stage.owner.text() == "w11 w12"


def test_of_pcm_that_comes_far_too_fast_only_the_rest_is_dropped() -> None:
    stage = Stage(pending_audio_s=2.0)
    assert not stage.publish().hear(Packet(pcm_f32le(np.concatenate(silence(100))), 0.0))
    assert stage.refused() == 5.0


async def test_files_have_less_waiting_each_once_they_have_much_together() -> None:
    stage = Stage(pending_bytes=8 * 5 * SAMPLE_RATE)
    tracks = [stage.publish(live=False) for _ in range(3)]
    for track in tracks:
        track.hear(Packet(pcm_f32le(np.concatenate(silence(25))), 0.0))
    assert [track.is_full for track in tracks] == [True] * 3
    stage.engine.turn()
    assert [track.is_full for track in tracks] == [False] * 3


async def test_a_track_that_drops_nothing_is_full_until_its_audio_was_dealt_with() -> None:
    stage = Stage(pending_audio_s=0.4)
    track = stage.publish(live=False)
    for frame in silence(6):
        track.hear(Packet(pcm_f32le(frame), 0.0))
    full = track.is_full
    stage.engine.turn()
    assert full
    assert sum(event.samples for event in stage.beside.events if isinstance(event, Taken)) == 6 * FRAME_SAMPLES
    assert not track.is_full
    await track.room()


def test_a_live_track_is_never_full() -> None:
    stage = Stage(pending_audio_s=0.1)
    track = stage.publish()
    for frame in silence(50):
        track.hear(Packet(pcm_f32le(frame), 0.0))
    assert not track.is_full


@pytest.mark.parametrize("live", [True, False])
def test_audio_that_the_listener_has_no_room_for_is_told_as_a_gap(live: bool) -> None:
    stage = Stage(most_waiting=2)
    track = stage.publish(live=live)
    for frame in silence(15):
        track.hear(Packet(pcm_f32le(frame), 0.0))
    assert stage.owner.told == [GapNotice("ada", 0.0, 1.04, "overload")], "a second at once"
    stage.engine.turn()
    track.hear(Packet(pcm_f32le(silence(1)[0]), 0.0))
    assert stage.owner.told[1:] == [GapNotice("ada", 1.04, 1.12, "overload")], "the rest before anything is heard"


def frame_packet(at: float, seq: int | None = None) -> Packet:
    """80 ms that came at a moment."""
    return Packet(pcm_f32le(silence(1)[0] + 0.5), at, None, seq, None if seq is None else seq * FRAME_SAMPLES)


def test_what_is_further_ahead_of_its_time_than_it_may_be_is_not_queued_and_told() -> None:
    stage = Stage(pending_audio_s=2.0)
    track = stage.publish()
    for _ in range(100):
        track.hear(frame_packet(50.0))
    assert 2.0 <= (100 - stage.refused()) * 0.08 <= 2.2
    stage.engine.turn()
    track.hear(frame_packet(60.0))
    assert sum(gap.end - gap.start for gap in stage.gaps()) == pytest.approx(stage.refused() * 0.08)
    assert {gap.reason for gap in stage.gaps()} == {"overload"}


def test_who_sends_in_time_may_have_a_clock_that_is_a_little_fast() -> None:
    stage = Stage(pending_audio_s=2.0)
    track = stage.publish()
    for number in range(1_000):
        track.hear(frame_packet(50.0 + number * 0.08 / 1.04))
        stage.engine.turn()
    assert stage.refused() == 0


@pytest.mark.parametrize("size", [4, 1 << 20])
def test_packets_that_hold_next_to_nothing_or_far_too_much_count_all_the_same(size: int) -> None:
    """One sample each, or a megabyte that says it is 20 ms of Opus."""
    stage = Stage(pending_audio_s=2.0, most_waiting=1_000_000)
    track = stage.publish(codec=Codec("pcm_f32le") if size == 4 else Codec("opus"))
    for _ in range(10_000):
        track.hear(Packet(b"\x08" * size, 50.0))
    assert 10_000 - stage.refused() <= (2.0 / 0.0025 + 1) * 1.05


def test_a_numbered_packet_that_is_refused_is_missed_by_its_number() -> None:
    stage = Stage(pending_audio_s=2.0)
    track = stage.publish()
    for number in range(100):
        track.hear(frame_packet(50.0, number))
    track.hear(frame_packet(60.0, 100))
    for number in range(101, 105):
        track.hear(frame_packet(60.0, number))
    stage.engine.turn()
    gaps = stage.gaps()
    assert [gap.reason for gap in gaps] == ["loss"]
    assert gaps[0].end == pytest.approx(8.0)
    assert gaps[0].end - gaps[0].start == pytest.approx(stage.refused() * 0.08)


def test_past_the_bound_on_all_that_waits_each_may_be_a_second_ahead() -> None:
    stage = Stage(pending_bytes=1)
    track = stage.publish()
    for _ in range(100):
        track.hear(frame_packet(50.0))
    assert 1.0 <= (100 - stage.refused()) * 0.08 <= 1.2


def test_of_a_track_whose_sender_waits_packets_of_a_sample_fill_it_up_too() -> None:
    stage = Stage(pending_audio_s=2.0)
    track = stage.publish(live=False)
    one = Packet(pcm_f32le(silence(1)[0][:1]), 50.0)
    heard = 0
    while not track.is_full:
        track.hear(one)
        heard += 1
    assert heard == 2.0 / 0.0025 + 1
    stage.engine.turn()
    assert track.is_full is False
