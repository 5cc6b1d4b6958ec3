"""Ids and names as they come in addresses, checked in one place for every door, and error texts of a bounded length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from captions.rooms.position import Position
from captions.stream.captions import Id

__all__ = ["MOST_ERROR_CHARACTERS", "NameProblem", "error_text", "query_as", "room_of", "since_in"]

MOST_ERROR_CHARACTERS = 200
"""An error repeats what it was told only so far: else whoever sends nonsense decides how much is kept and sent back."""

Names = TypeVar("Names", bound=msgspec.Struct)


class NameProblem(ValueError):
    """An address that lacks an id, or has one that cannot be; the message names the parameter."""


def query_as(kind: type[Names], query: Mapping[str, str]) -> Names:
    """The parameters of a query as a struct whose fields are `Id`, `Label` or numbers.

    Raises:
        NameProblem: one is missing or cannot be.
    """
    try:
        return msgspec.convert(dict(query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise NameProblem(error_text(error)) from None


def room_of(part: str | None) -> str | None:
    """The room that a path names, if it names one.

    Raises:
        NameProblem: no room can have that name.
    """
    try:
        return msgspec.convert(part, Id | None)
    except msgspec.ValidationError as error:
        raise NameProblem(f"room: {error_text(error)}") from None


def since_in(query: Mapping[str, str]) -> Position | None:
    """How far a watcher that comes back had come, if it says so.

    Raises:
        NameProblem: it says what no server told it.
    """
    try:
        return Position.parse(query["since"]) if query.get("since") else None
    except ValueError as error:
        raise NameProblem(f"since: {error}") from None


def error_text(error: object) -> str:
    """What is said of an error, at most `MOST_ERROR_CHARACTERS` long."""
    text = str(error)
    return text if len(text) <= MOST_ERROR_CHARACTERS else text[: MOST_ERROR_CHARACTERS - 1] + "…"
