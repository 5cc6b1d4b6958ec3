"""What crosses from thread to thread in the engine: notices, orders, and what comes back.

    event loop --notices--> listener thread --orders--> model thread
        ^                        |                          |
        +--- hearing events -----+------ track events ------+

Each is plain, immutable data that names its track by number, so that it could cross to another process as well. The
track events are defined in captions/types.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from msgspec import Struct

from captions.stream.codec import Codec
from captions.stream.timeline import Packet, PlacedPacket
from captions.types import Frame, Gap, TrackEvent
from captions.vad.gate import SpurtEnded, SpurtStarted

__all__ = [
    "Arrived",
    "AudioEnded",
    "BadAudio",
    "CloseTrack",
    "EndSpeech",
    "FlushAsked",
    "FlushTrack",
    "HearingEvent",
    "Impaired",
    "Notice",
    "OpenTrack",
    "Order",
    "PacketArrived",
    "PushFrame",
    "RankTrack",
    "SenderHeld",
    "SenderReleased",
    "StartSpeech",
    "StepReport",
    "StepResults",
    "Taken",
    "TrackClosed",
    "TrackMuted",
    "TrackOpened",
    "Turn",
    "first_track_of",
    "front_of",
]


_TRACKS_A_FRONT = 1 << 32


def first_track_of(front: int) -> int:
    """Behind which a front numbers its tracks, so that no two processes have one in common; 0 where there is one."""
    return front * _TRACKS_A_FRONT


def front_of(track: int) -> int:
    """Whose track it is."""
    return track // _TRACKS_A_FRONT


@dataclass(frozen=True, slots=True)
class TrackOpened:
    """A new track. `drops`: when it has more audio than can be heard, its oldest goes; else its sender waits.

    `source`: the same number for tracks of one connection.
    """

    track: int
    room: str
    codec: Codec
    drops: bool
    source: int = 0


class PacketArrived(Struct, frozen=True, gc=False):
    track: int
    packet: Packet


@dataclass(frozen=True, slots=True)
class TrackMuted:
    track: int


@dataclass(frozen=True, slots=True)
class SenderHeld:
    """The sender of a track that drops nothing is made to wait, so that its silence is no end of speech."""

    track: int


@dataclass(frozen=True, slots=True)
class SenderReleased:
    """The sender may go on."""

    track: int


@dataclass(frozen=True, slots=True)
class FlushAsked:
    """The client wants to know when every word of what it has sent is out."""

    track: int
    id: str


@dataclass(frozen=True, slots=True)
class AudioEnded:
    """No more audio will come: end the spurt under way, then flush with this id."""

    track: int
    id: str


@dataclass(frozen=True, slots=True)
class TrackClosed:
    track: int


Notice: TypeAlias = (
    TrackOpened | PacketArrived | TrackMuted | SenderHeld | SenderReleased | FlushAsked | AudioEnded | TrackClosed
)
"""What the doors tell the listener, in order."""


class _Order(Struct, frozen=True, array_like=True, tag=True, gc=False):
    """What may cross to another process, as it is."""


class OpenTrack(_Order, frozen=True):
    """`drops`: audio past the backlog's bound is dropped; else progress is reported and the sender holds back."""

    track: int
    room: str
    drops: bool


class PushFrame(_Order, frozen=True):
    track: int
    frame: Frame


class StartSpeech(_Order, frozen=True):
    """A spurt has begun within the frames pushed last."""

    track: int


class EndSpeech(_Order, frozen=True):
    """The spurt is over: there is no speech behind media position `at`, or else behind the frames pushed so far."""

    track: int
    at: int | None = None


class RankTrack(_Order, frozen=True):
    """Whether a track that drops nothing is in its time, as a live one is, or ahead of it, as a file is."""

    track: int
    live: bool


class FlushTrack(_Order, frozen=True):
    track: int
    flush_id: str


class CloseTrack(_Order, frozen=True):
    track: int


Order: TypeAlias = OpenTrack | PushFrame | StartSpeech | EndSpeech | RankTrack | FlushTrack | CloseTrack
"""What the listener tells the runner, in order."""


class Arrived(Struct, frozen=True):
    """Packets of a track were decoded: where they lie, and when each came."""

    packets: Sequence[PlacedPacket]


@dataclass(frozen=True, slots=True)
class BadAudio:
    """A packet that could not be decoded."""

    message: str


@dataclass(frozen=True, slots=True)
class Taken:
    """Of a track whose sender waits: packets of `samples` were taken in, and frames up to `pushed_to` handed on.

    `weight`: what these packets counted for while they waited, by `codec.weight`.
    """

    samples: int
    weight: int
    pushed_to: int


@dataclass(frozen=True, slots=True)
class Impaired:
    """What the network spoilt: packets dropped because they came `late` or `repeated`, samples lost and `concealed`."""

    late: int
    repeated: int
    concealed: int


HearingEvent: TypeAlias = Arrived | SpurtStarted | SpurtEnded | BadAudio | Taken | Impaired | Gap
"""What the listener says of a track, in order."""


@dataclass(slots=True)
class Turn:
    """What one turn of the listener came to: orders for the runner, and hearing events by track."""

    orders: list[Order]
    heard: list[tuple[int, HearingEvent]]


class StepReport(Struct, frozen=True, array_like=True, gc=False):
    """What a step cost and how full the lanes are, for the metrics; `step_s` None where tracks only left.

    `live_share`: see `Scheduler.live_share`. `strain`: how near the model is to falling
    behind, 0 to 1, by this step.
    """

    step_s: float | None
    lanes_stepped: int
    lanes_in_use: int
    lanes_busy: int
    tracks_waiting: int
    live_share: float
    lane_waits_s: tuple[float, ...]
    stalled: int
    strain: float


StepResults: TypeAlias = tuple[list[tuple[int, TrackEvent]], StepReport | None]
"""Track events by track, in order, and what the step they came from has to report."""
