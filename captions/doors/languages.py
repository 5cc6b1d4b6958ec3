"""Whether a server hears the language that a client asks for."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["hears", "unheard_text"]

_ANY = ("und", "multi", "auto")
"""Undetermined (BCP 47), and how clients of other services say that they do not know."""


def hears(languages: Sequence[str], wanted: str | None) -> bool:
    """Whether one of a model's languages is the one wanted, by its primary subtag: "fr-CA" is French."""
    primary = (wanted or "").lower().replace("_", "-").partition("-")[0]
    return not primary or primary in _ANY or primary in languages or any(known in _ANY for known in languages)


def unheard_text(languages: Sequence[str]) -> str:
    """What a client is told that wants another language."""
    return f"this server hears {', '.join(languages)} only"
