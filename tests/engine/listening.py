"""A listener turned by hand, what it is told, and how to read what comes of it."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from captions.engine.listener import Listener
from captions.engine.orders import (
    Arrived,
    HearingEvent,
    Notice,
    Order,
    PacketArrived,
    PushFrame,
    Taken,
    TrackOpened,
    Turn,
)
from captions.stream.codec import Codec
from captions.stream.timeline import Packet
from captions.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE, Frame
from captions.vad.gate import GatePolicy
from captions.vad.silero import SileroVad
from tests.speech import dickens

__all__ = [
    "HANGOVER_S",
    "PACKET",
    "PATIENCE_S",
    "Bench",
    "Loudness",
    "Mark",
    "Outline",
    "Pushed",
    "arrivals",
    "frames_of",
    "loud",
    "marks",
    "news",
    "opened",
    "outline",
    "said",
    "silent",
    "slow",
    "sounds",
    "spoken",
    "starts",
    "taken",
    "told",
]

HANGOVER_S = 0.128
"""Four of the detector's chunks, of which two frames hold five."""

PACKET = 480
"""20 ms, of which four make a frame."""

PATIENCE_S = 30.0


class Loudness(SileroVad):
    """Takes whatever is loud for speech, and remembers what it was asked."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed: list[int] = []
        self.resets: list[int] = []
        self.calls: list[list[int]] = []

    def open(self) -> int:
        self.opened += 1
        return self.opened - 1

    def reset(self, stream: int) -> None:
        self.resets.append(stream)

    def close(self, stream: int) -> None:
        self.closed.append(stream)

    def probabilities(self, streams: Sequence[int], chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        self.calls.append(list(streams))
        return np.asarray(np.abs(chunks).mean(axis=1) > 0.25, np.float32)


@dataclass(frozen=True)
class Pushed:
    """A `PushFrame` without its samples."""

    track: int
    start: int
    arrived_at: float


Outline: TypeAlias = Pushed | Order


class Bench:
    """A listener and the clock it reads."""

    def __init__(
        self,
        vad: SileroVad | None = None,
        *,
        hangover_s: float = HANGOVER_S,
        most_pending_s: float = 20.0,
        skips_silence: bool = True,
    ) -> None:
        self.now = 0.0
        self.vad = Loudness()
        self.turns: queue.Queue[Turn] = queue.Queue()
        self.listener = Listener(
            vad or self.vad,
            GatePolicy(hangover_s=hangover_s),
            self.turns.put,
            lambda: self.now,
            most_pending_s=most_pending_s,
            skips_silence=skips_silence,
            pause_s=0.0,
        )

    def hear(self, *notices: Notice, at: float | None = None) -> Turn:
        self.now = self.now if at is None else at
        for notice in notices:
            self.listener.tell(notice)
        return self.listener.turn()


def opened(track: int = 1, *, drops: bool = True) -> TrackOpened:
    return TrackOpened(track, "room", Codec("pcm_f32le", SAMPLE_RATE), drops)


def said(level: float, samples: int = FRAME_SAMPLES) -> bytes:
    return np.full(samples, level, "<f4").tobytes()


def sounds(track: int, *levels: float, first: int = 0) -> list[Notice]:
    """Frames of constant loudness, each in one packet, the first of them frame number `first`."""
    return [PacketArrived(track, Packet(said(level), (first + n) * FRAME_S)) for n, level in enumerate(levels)]


def loud(track: int, frames: int, first: int = 0) -> list[Notice]:
    return sounds(track, *[0.5] * frames, first=first)


def silent(track: int, frames: int, first: int = 0) -> list[Notice]:
    return sounds(track, *[0.0] * frames, first=first)


def spoken(start_s: float, end_s: float) -> list[Notice]:
    """The reader's voice on track 1, in packets of 20 ms."""
    blocks = dickens(start_s, end_s).astype("<f4").reshape(-1, PACKET)
    return [PacketArrived(1, Packet(block.tobytes(), n / 50)) for n, block in enumerate(blocks)]


def outline(orders: Iterable[Order]) -> list[Outline]:
    return [Pushed(o.track, o.frame.start, o.frame.arrived_at) if isinstance(o, PushFrame) else o for o in orders]


def frames_of(turns: Iterable[Turn]) -> list[Frame]:
    return [order.frame for turn in turns for order in turn.orders if isinstance(order, PushFrame)]


def starts(turn: Turn) -> list[tuple[int, int]]:
    """Of each frame pushed its track and its number on the track's clock."""
    return [(o.track, o.frame.start // FRAME_SAMPLES) for o in turn.orders if isinstance(o, PushFrame)]


def news(turn: Turn, track: int = 1) -> list[HearingEvent]:
    """What a track is told, but for the arrivals."""
    return [heard for to, heard in turn.heard if to == track and not isinstance(heard, Arrived)]


class Mark(NamedTuple):
    """Where a packet lies and when it came."""

    start: int
    end: int
    at: float
    captured_at: float | None = None


def marks(arrived: Arrived) -> list[Mark]:
    return [
        Mark(one.start, one.start + one.samples, one.packet.arrived_at, one.packet.captured_at)
        for one in arrived.packets
    ]


def arrivals(turn: Turn, track: int = 1) -> list[Mark]:
    return [mark for to, heard in turn.heard if to == track and isinstance(heard, Arrived) for mark in marks(heard)]


def told(turn: Turn) -> list[tuple[int, HearingEvent | list[Mark]]]:
    """What all tracks are told, arrivals as marks."""
    return [(track, marks(event) if isinstance(event, Arrived) else event) for track, event in turn.heard]


def taken(turns: Iterable[Turn]) -> int:
    return sum(heard.samples for turn in turns for heard in news(turn) if isinstance(heard, Taken))


class Slow(Loudness):
    """Costs as much time of `bench` as it is told, for every track it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.costs_s = 0.0
        self.bench: Bench | None = None

    def probabilities(self, streams: Sequence[int], chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        assert self.bench is not None
        self.bench.now += self.costs_s * len(streams)
        return super().probabilities(streams, chunks)


def slow(costs_s: float, **settings: Any) -> Bench:
    """A listener that needs so many seconds for a chunk of one track."""
    vad = Slow()
    vad.costs_s = costs_s
    vad.bench = Bench(vad, **settings)
    vad.bench.vad = vad
    return vad.bench
