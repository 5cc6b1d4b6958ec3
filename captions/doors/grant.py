"""What somebody may do: in which rooms, as whom, and until when."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Flag, auto

from captions.stream.captions import Participant

__all__ = ["ANYTHING", "NOTHING", "Grant", "Right"]


class Right(Flag):
    """What one may do in a room."""

    WATCH = auto()
    PUBLISH = auto()


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key or a token lets its holder do.

    `who`: what it is that was shown, as a log may say it. `room`: the only one, None for all of those whose names begin
    with `prefix`. `speaks_as`: who its holder is; None leaves that to the holder to say. `ends_at`: in seconds since
    1970, None for never. `connections` and `tracks`: how many `holder` may have at once, under all its grants; None for
    all that the server has.
    """

    who: str
    rights: Right
    prefix: str = ""
    room: str | None = None
    speaks_as: Participant | None = None
    ends_at: float | None = None
    holder: str = field(default="", compare=False)
    connections: int | None = None
    tracks: int | None = None

    def allows(self, right: Right, room: str | None, participant: str | None = None) -> bool:
        """Whether the right is granted in a room to somebody of this id; None stands for what is named later."""
        is_speaker = self.speaks_as is None or participant in (None, self.speaks_as.id)
        return right in self.rights and is_speaker and (room is None or self._has(room))

    def continues(self, other: Grant) -> bool:
        """Whether what was begun under the other may go on under this one: the same person in the same rooms."""
        return self._scope() == other._scope()

    def _has(self, room: str) -> bool:
        return room.startswith(self.prefix) and self.room in (None, room)

    def _scope(self) -> tuple[str, str | None, str | None]:
        return self.prefix, self.room, self.speaks_as.id if self.speaks_as is not None else None


ANYTHING = Grant("anybody", Right.WATCH | Right.PUBLISH)
NOTHING = Grant("nobody", Right(0))
