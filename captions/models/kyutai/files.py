"""Reading a checkpoint's files, and saying in one line why one of them cannot be used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from captions.models.model import ModelError

__all__ = ["first_line", "read_json", "wrong_files"]


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object that `path` holds.

    Raises:
        ModelError: it cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {first_line(error)}") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path} is not a checkpoint's config: it should hold one JSON object")
    return value


@contextmanager
def wrong_files(what: str, *passed: type[Exception]) -> Iterator[None]:
    """Turn whatever the libraries raise over files that do not fit into a `ModelError` of one line.

    Args:
        what: the file, or the checkpoint, that the message names.
        passed: errors that say nothing about the files, and are let through as they are.
    """
    try:
        yield
    except passed:
        raise
    except (SafetensorError, RuntimeError, OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise ModelError(f"{what} is not what the checkpoint's config describes: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The first line of an exception's message that is not empty, or the exception's name."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
