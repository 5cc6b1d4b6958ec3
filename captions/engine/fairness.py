"""An order in which nobody has to wait for all that somebody else has. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from itertools import islice
from typing import TypeVar

__all__ = ["in_turns"]

T = TypeVar("T")


def in_turns(items: Iterable[T], *groupings: Callable[[T], Hashable]) -> list[T]:
    """The items ordered so that the groups of the first grouping take turns, within each group those of the second, and
    so on. Groups, and the items of the innermost ones, stay in the order in which they come.
    """
    if not groupings:
        return list(items)
    first, *further = groupings
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(first(item), []).append(item)
    queues = [iter(in_turns(group, *further)) for group in groups.values()]
    ordered: list[T] = []
    while queues:
        going_on = []
        for queue in queues:
            before = len(ordered)
            ordered += islice(queue, 1)
            if len(ordered) > before:
                going_on.append(queue)
        queues = going_on
    return ordered
