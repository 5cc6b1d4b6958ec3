"""The figures by which lanes are shared."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LanePolicy"]


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """The figures that the rules of scheduler.py speak of; all but the lanes are counted in frames of 80 ms.

    `feeds_silence`: a lane in use is fed its track's silence, too; otherwise it is frozen until the next speech.
    `stall_frames` = 0 turns the watchdog off. `flush_frames` is at least 1: a flush closes on a step.
    """

    lanes: int
    flush_frames: int = 1
    preroll_frames: int = 8
    backlog_frames: int = 250
    wait_frames: int = 75
    stall_frames: int = 0
    feeds_silence: bool = False
