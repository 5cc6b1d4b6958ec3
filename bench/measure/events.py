"""What a client of a captioning server sent and saw, whatever the protocol: the log every figure is computed from.

Moments (`at`) are seconds of one monotonic clock, the client's; positions are seconds of the track's media clock, 0 at
its first sample.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import msgspec

__all__ = [
    "Done",
    "Observation",
    "Seen",
    "SeenWord",
    "SentAudio",
    "SpeechTurn",
    "TrackLog",
    "Trouble",
    "read_logs",
    "write_logs",
]


@dataclass(frozen=True, slots=True)
class SeenWord:
    """A committed word, with the times its server gave it, if it gives any."""

    text: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A caption unit of a track as it looked from `at` on; it replaces what was seen of `unit` before.

    Units stand in the order in which they were first seen. `final`: the unit is closed. `server_ms`: what the server
    itself says of its latency, by the names of captions/stream/figures.py.
    """

    track: str
    at: float
    unit: str
    committed: tuple[SeenWord, ...]
    tentative: tuple[str, ...]
    final: bool
    server_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpeechTurn:
    """The server says that speech began or ended at `position`."""

    track: str
    at: float
    speaking: bool
    position: float


@dataclass(frozen=True, slots=True)
class Done:
    """The server says that everything of the track is out."""

    track: str
    at: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """The server reports an error, dropped audio or the end of the connection; `track` "" where it concerns all.

    `lost_s`: how much audio, if that is the trouble.
    """

    track: str
    at: float
    message: str
    lost_s: float = 0.0


Observation: TypeAlias = Seen | SpeechTurn | Done | Trouble


@dataclass(slots=True)
class SentAudio:
    """When each part of a track's audio was sent: packet by packet, `ends` rising."""

    ends: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)

    def add(self, end: float, at: float) -> None:
        """The packet that ends at position `end` was sent (or lost) at `at`. May come out of order."""
        if not self.ends or end > self.ends[-1]:
            self.ends.append(end)
            self.at.append(at)
            return
        place = bisect_left(self.ends, end)
        self.ends.insert(place, end)
        self.at.insert(place, at)

    def when(self, position: float) -> float:
        """When the packet holding `position` was sent; of positions past the end, when the last was.

        Raises:
            IndexError: nothing was sent.
        """
        place = bisect_left(self.ends, position - 1e-9)
        return self.at[min(place, len(self.at) - 1)]

    @property
    def end(self) -> float:
        """The position up to which audio was sent."""
        return self.ends[-1] if self.ends else 0.0


@dataclass(slots=True)
class TrackLog:
    """Everything that was sent and seen of one track. `finished_at`: when the server was told that it had all."""

    track: str
    sent: SentAudio = field(default_factory=SentAudio)
    seen: list[Seen] = field(default_factory=list)
    turns: list[SpeechTurn] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    finished_at: float | None = None
    done_at: float | None = None

    def add(self, observation: Observation) -> None:
        match observation:
            case Seen():
                self.seen.append(observation)
            case SpeechTurn():
                self.turns.append(observation)
            case Done(at=at):
                self.done_at = at
            case Trouble():
                self.troubles.append(observation)


def write_logs(path: Path, logs: list[TrackLog]) -> None:
    """Keep what was observed, so that figures can be computed anew from it."""
    path.write_bytes(msgspec.json.encode(logs))


def read_logs(path: Path) -> list[TrackLog]:
    """The logs `write_logs` kept.

    Raises:
        OSError, msgspec.DecodeError: no such file, or not one of ours.
    """
    return msgspec.json.decode(path.read_bytes(), type=list[TrackLog])
