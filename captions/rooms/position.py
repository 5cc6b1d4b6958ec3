"""How far a watcher has come in a room: what it says when it comes back, at whichever node."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["NOWHERE", "Position"]

_FORM = re.compile(r"(\d{1,16})-(\d{1,16})", re.ASCII)


class Position(NamedTuple):
    """Later ones are greater. Over Redis it is an entry of the room's stream, by the ids that Redis gives those."""

    ms: int
    number: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """What `str` made of one.

        Raises:
            ValueError: no position is written like that.
        """
        form = _FORM.fullmatch(text)
        if form is None:
            raise ValueError("a position is two numbers with a hyphen between")
        return cls(int(form[1]), int(form[2]))


NOWHERE = Position(0, 0)
"""Before everything."""
