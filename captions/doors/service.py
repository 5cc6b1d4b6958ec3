"""What all doors of a server share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from captions.config import LimitsConfig
from captions.doors.back_pressure import WaitingAudio
from captions.doors.shared_bytes import SharedBytes
from captions.doors.slots import Slots
from captions.engine.engine import Engine
from captions.metrics import Metrics
from captions.rooms.rooms import Rooms

if TYPE_CHECKING:
    from captions.doors.native.session import Session

__all__ = ["HangUp", "Line", "Service", "Write"]

_FILES_SHARE = 2
"""Half of the audio that may wait may be that of files, wherever it waits."""
_SAMPLE_BYTES = 4

Write: TypeAlias = Callable[[bytes | str], None]
"""Where a connection's payloads go; never waits."""

HangUp: TypeAlias = Callable[[int, str], None]
"""Closes a connection, with a WebSocket close code and a reason, behind all that was written; never waits."""


@dataclass(frozen=True, slots=True)
class Line:
    """A client's connection, as a door has it."""

    write: Write
    hang_up: HangUp


@dataclass(slots=True)
class Service:
    """The engine, the rooms and the limits. `draining`, `is_late`: no new track is taken. `sessions`: the native ones,
    by id.

    `clock` is monotonic, `wall_clock` in seconds since 1970. `waiting`: what is kept for clients that have not read it;
    `waiting_audio`: what waits of files. `slots`: who has how many tracks. `elsewhere`: another node's address that
    takes tracks, to send a client to; `others`: some of them, those named before first, then the emptiest.
    """

    engine: Engine
    rooms: Rooms
    metrics: Metrics
    limits: LimitsConfig
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    new_id: Callable[[], str]
    draining: bool = False
    is_late: bool = False
    elsewhere: Callable[[], str | None] = lambda: None
    others: Callable[[list[str]], list[str]] = lambda _named: []
    sessions: dict[str, Session] = field(default_factory=dict)
    waiting: SharedBytes = field(init=False)
    waiting_audio: WaitingAudio = field(init=False)
    slots: Slots = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = SharedBytes(self.limits.waiting_bytes)
        self.waiting_audio = WaitingAudio(self.limits.pending_bytes // _FILES_SHARE // _SAMPLE_BYTES)
        self.slots = Slots(self.limits.tracks, lambda: self.engine.tracks, lambda: self.is_late)
