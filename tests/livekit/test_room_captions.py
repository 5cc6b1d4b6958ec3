"""The agent of a LiveKit room against a real server; of LiveKit only the room is made up, as rtc.Room shows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

rtc = pytest.importorskip("livekit.rtc")

from captions.livekit.room_captions import RoomCaptions  # noqa: E402
from captions.livekit.transcriptions import TranscriptionPublisher  # noqa: E402
from captions.livekit.worker import worker  # noqa: E402
from captions.stream.captions import Latency, Participant, Segment  # noqa: E402
from captions.types import SAMPLE_RATE, Pcm  # noqa: E402
from tests.server.harness import Served, serving, until  # noqa: E402
from tests.speech import saying, silence  # noqa: E402


@dataclass
class Writer:
    """A text stream, as LiveKit's writer takes it."""

    stream: dict[str, Any]
    told: list[dict[str, Any]]

    async def write(self, text: str) -> None:
        self.stream["text"] = text

    async def aclose(self) -> None:
        self.told.append(self.stream)


@dataclass
class LocalParticipant:
    """What was published. `hold`: publishing waits for it."""

    packets: list[Any] = field(default_factory=list)
    streams: list[dict[str, Any]] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def publish_transcription(self, transcription: Any) -> None:
        if self.hold is not None:
            await self.hold.wait()
        self.packets.append(transcription)

    async def stream_text(self, *, topic: str, sender_identity: str, attributes: dict[str, str]) -> Writer:
        return Writer({"topic": topic, "sender": sender_identity} | attributes, self.streams)


@dataclass
class Microphone:
    """A track and its publication: what is put into `frames` is heard, None ends it."""

    sid: str
    muted: bool = False
    kind: int = rtc.TrackKind.KIND_AUDIO
    frames: asyncio.Queue[Pcm | None] = field(default_factory=asyncio.Queue)

    @property
    def track(self) -> Microphone:
        return self

    def say(self, *frames: Pcm) -> None:
        for frame in frames:
            self.frames.put_nowait(frame)


@dataclass
class Remote:
    identity: str
    name: str
    track_publications: dict[str, Microphone]


class Room:
    """The part of rtc.Room that is used."""

    def __init__(self) -> None:
        self.name = "standup"
        self.local_participant = LocalParticipant()
        self.remote_participants: dict[str, Remote] = {}
        self._handlers: dict[str, Callable[..., None]] = {}

    def on(self, event: str, handler: Callable[..., None]) -> None:
        self._handlers[event] = handler

    def emit(self, event: str, *arguments: Any) -> None:
        if event in self._handlers:
            self._handlers[event](*arguments)

    def join(self, name: str, *, muted: bool = False) -> tuple[Microphone, Remote]:
        microphone = Microphone(f"TR_{name}", muted)
        who = self.remote_participants[name] = Remote(name.lower(), name, {microphone.sid: microphone})
        self.emit("track_subscribed", microphone, microphone, who)
        return microphone, who

    def finals(self) -> list[tuple[str, str]]:
        """Who said what, by both ways, which must agree."""
        packets = [
            (p.participant_identity, s.text) for p in self.local_participant.packets for s in p.segments if s.final
        ]
        streams = [(s["sender"], s["text"]) for s in self.local_participant.streams if is_final(s)]
        assert sorted(streams) == sorted(packets[: len(streams)])
        return packets


def is_final(stream: dict[str, Any]) -> bool:
    return bool(stream["lk.transcription_final"] == "true")


async def listen(track: Any) -> AsyncIterator[Any]:
    while (pcm := await track.frames.get()) is not None:
        samples = (pcm * 32_767).astype("<i2")
        yield rtc.AudioFrame(samples.tobytes(), SAMPLE_RATE, 1, len(samples))


@asynccontextmanager
async def captioned(url: str, room: Room) -> AsyncIterator[None]:
    agent = RoomCaptions(room, url, None, "fr", listen=listen)  # type: ignore[arg-type]
    running = asyncio.create_task(agent.run())
    try:
        yield
    finally:
        room.emit("disconnected", None)
        await running


def said(*numbers: int) -> list[Pcm]:
    return [*saying(*numbers), *silence(25)]


async def heard(served: Served, tracks: int) -> None:
    await until(lambda: served.server.census().engine.tracks == tracks)


async def test_interims_and_the_final_of_a_segment_are_published_both_ways_under_one_id() -> None:
    room = Room()
    ada, _ = room.join("Ada")
    async with serving() as served, captioned(served.url, room):
        ada.say(*saying(1, 2, 3), *silence(2))
        await until(lambda: bool(room.local_participant.packets))
        ada.say(*silence(25))
        await until(lambda: any(map(is_final, room.local_participant.streams)))
    packets = [(packet, segment) for packet in room.local_participant.packets for segment in packet.segments]
    assert len({segment.id for _, segment in packets}) == 1
    assert {(packet.participant_identity, packet.track_sid) for packet, _ in packets} == {("ada", "TR_Ada")}
    assert not packets[0][1].final
    last = packets[-1][1]
    assert (last.text, last.final, last.language) == ("w1 w2 w3", True, "fr")
    assert 0 <= last.start_time < last.end_time <= 9 * 80 + 80
    streams = room.local_participant.streams
    assert streams[-1] == {
        "topic": "lk.transcription",
        "sender": "ada",
        "text": "w1 w2 w3",
        "lk.transcription_final": "true",
        "lk.segment_id": last.id,
        "lk.transcribed_track_id": "TR_Ada",
    }
    assert [stream["text"] for stream in streams] == [segment.text for _, segment in packets]


async def test_who_joins_late_is_captioned_and_who_leaves_has_their_last_words() -> None:
    room = Room()
    ada, _ = room.join("Ada")
    async with serving() as served, captioned(served.url, room):
        await heard(served, 1)
        bob, his = room.join("Bob")
        ada.say(*said(1, 2))
        bob.say(*saying(3, 4))
        bob.frames.put_nowait(None)
        room.emit("track_unsubscribed", bob, bob, his)
        await until(lambda: len(room.finals()) == 2)
        await heard(served, 1)
    assert sorted(room.finals()) == [("ada", "w1 w2"), ("bob", "w3 w4")]


async def test_mutes_are_followed_and_those_that_join_muted_stay_so() -> None:
    room = Room()
    ada, her = room.join("Ada", muted=True)
    async with serving() as served, captioned(served.url, room):
        await heard(served, 1)
        ada.say(*said(1, 2))
        await until(ada.frames.empty)
        room.emit("track_unmuted", her, ada)
        await asyncio.sleep(0)
        ada.say(*said(3, 4))
        await until(lambda: bool(room.finals()))
    assert room.finals()[-1] == ("ada", "w3 w4")
    assert ("ada", "w1 w2") not in room.finals()


async def test_a_server_that_is_restarted_finds_the_room_again() -> None:
    room = Room()
    ada, _ = room.join("Ada")

    async with serving(server={"drain_s": 5.0}) as first:
        port, url = first.server.port, first.url
        running = captioned(url, room)
        await running.__aenter__()
        await heard(first, 1)
    async with serving(server={"port": port}) as second:
        await heard(second, 1)
        ada.say(*said(5, 6))
        await until(lambda: bool(room.finals()))
        await running.__aexit__(None, None, None)
    assert room.finals() == [("ada", "w5 w6")]


async def test_what_was_overtaken_while_publishing_is_not_published() -> None:
    room = Room()
    room.local_participant.hold = asyncio.Event()
    publisher = TranscriptionPublisher(room, "en")  # type: ignore[arg-type]
    publishing = asyncio.create_task(publisher.run())
    for revision, text in enumerate(["a", "a b", "a b c", "a b c"]):
        publisher.show(
            Segment(
                room="standup", track="TR", participant=Participant("ada"), id="1", revision=revision,
                final=revision == 3, start=0.0, end=1.0, text=text, words=[], latency=Latency(),
            )
        )  # fmt: skip
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    room.local_participant.hold.set()
    await until(lambda: bool(room.finals()))
    publishing.cancel()
    texts = [(segment.text, segment.final) for packet in room.local_participant.packets for segment in packet.segments]
    assert texts == [("a", False), ("a b c", True)]


def test_the_worker_asks_for_rooms_by_its_name() -> None:
    found = worker("ws://h:1", None, "fr", livekit_url="ws://l:2", api_key="k", api_secret="s", agent_name="captions")
    assert found._agent_name == "captions"
