"""What waits to be run for one track: frames, and boundaries between them, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from captions.types import Frame

__all__ = ["Backlog", "Boundary"]


@dataclass(frozen=True, slots=True)
class Boundary:
    """Every word of what was pushed before it is to be out before what comes behind it is run.

    `id` is the client's, or None at the end of speech. `silent_from`: the media position behind which there is no
    speech, where that is known. `parts`: nobody asked for it, the track is to leave its lane behind it.
    """

    id: str | None = None
    silent_from: int | None = None
    parts: bool = False


class Backlog:
    """A queue that counts its `frames` and `boundaries`. Frames may be given up; boundaries are owed an answer."""

    __slots__ = ("_items", "boundaries", "frames")

    def __init__(self) -> None:
        self._items: deque[Frame | Boundary] = deque()
        self.frames = 0
        self.boundaries = 0

    @property
    def oldest(self) -> Frame | None:
        """The frame that waits longest."""
        return next((item for item in self._items if isinstance(item, Frame)), None)

    def push(self, frame: Frame) -> None:
        self._items.append(frame)
        self.frames += 1

    def mark(self, boundary: Boundary) -> None:
        """A boundary behind everything pushed so far."""
        self._items.append(boundary)
        self.boundaries += 1

    def put_back(self, frames: Sequence[Frame]) -> None:
        """Frames that were run before go in front, in their order."""
        self._items.extendleft(reversed(frames))
        self.frames += len(frames)

    def pop(self) -> Frame | Boundary | None:
        """The next item, if there is one."""
        if not self._items:
            return None
        item = self._items.popleft()
        if isinstance(item, Frame):
            self.frames -= 1
        else:
            self.boundaries -= 1
        return item

    def drop_oldest(self) -> Frame:
        """Give up the frame that waits longest, of which there is one."""
        at, frame = next((at, item) for at, item in enumerate(self._items) if isinstance(item, Frame))
        del self._items[at]
        self.frames -= 1
        return frame

    def pop_leading_boundaries(self) -> list[Boundary]:
        """The boundaries before the first frame."""
        boundaries = []
        while self._items and isinstance(first := self._items[0], Boundary):
            boundaries.append(first)
            self._items.popleft()
        self.boundaries -= len(boundaries)
        return boundaries

    def clear(self) -> list[Frame | Boundary]:
        """Everything that was in it, in order."""
        items, self._items = list(self._items), deque()
        self.frames = self.boundaries = 0
        return items
