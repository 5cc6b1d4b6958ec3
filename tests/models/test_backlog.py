"""A backlog keeps order, counts itself, and gives up frames but never boundaries."""

from __future__ import annotations

from collections import deque

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from captions.models.backlog import Backlog, Boundary
from captions.types import FRAME_SAMPLES, Frame


def frame(number: int) -> Frame:
    return Frame(number * FRAME_SAMPLES, np.zeros(FRAME_SAMPLES, np.float32), 0.0)


class Counted(RuleBasedStateMachine):
    """A backlog beside a plain list of the same items."""

    def __init__(self) -> None:
        super().__init__()
        self.backlog = Backlog()
        self.items: list[Frame | Boundary] = []
        self.number = 0

    @rule()
    def push(self) -> None:
        self.number += 1
        new = frame(self.number)
        self.backlog.push(new)
        self.items.append(new)

    @rule()
    def mark(self) -> None:
        self.number += 1
        boundary = Boundary(str(self.number))
        self.backlog.mark(boundary)
        self.items.append(boundary)

    @rule(count=st.integers(0, 3))
    def put_back(self, count: int) -> None:
        back = deque(frame(-n) for n in range(count, 0, -1))
        self.backlog.put_back(back)
        self.items[:0] = back

    @rule()
    def pop(self) -> None:
        assert self.backlog.pop() is (self.items.pop(0) if self.items else None)

    @precondition(lambda self: self.backlog.frames)
    @rule()
    def drop_oldest(self) -> None:
        oldest = next(item for item in self.items if isinstance(item, Frame))
        assert self.backlog.drop_oldest() is oldest
        self.items = [item for item in self.items if item is not oldest]

    @rule()
    def pop_leading_boundaries(self) -> None:
        leading = []
        while self.items and isinstance(self.items[0], Boundary):
            leading.append(self.items.pop(0))
        assert self.backlog.pop_leading_boundaries() == leading

    @rule()
    def clear(self) -> None:
        assert self.backlog.clear() == self.items
        self.items = []

    @invariant()
    def counts_itself(self) -> None:
        frames = [item for item in self.items if isinstance(item, Frame)]
        assert (self.backlog.frames, self.backlog.boundaries) == (len(frames), len(self.items) - len(frames))
        assert self.backlog.oldest is (frames[0] if frames else None)


TestCounted = Counted.TestCase
