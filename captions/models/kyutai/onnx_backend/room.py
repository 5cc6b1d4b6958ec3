"""How much memory this process may still take: the machine's, or its container's."""

from __future__ import annotations

from pathlib import Path

__all__ = ["free_bytes"]

MACHINE = Path("/proc/meminfo")
CONTAINER = Path("/sys/fs/cgroup")
"""As Linux tells it; a container's own limit is at the top of what it sees of the control groups, version 2."""

KIB = 1 << 10


def free_bytes(machine: Path = MACHINE, container: Path = CONTAINER) -> int | None:
    """Bytes that can be had without swapping or being killed; None where the system does not tell."""
    found = []
    available = _entries(machine).get("MemAvailable:")
    if available is not None:
        found.append(available * KIB)
    limit, held = _first_number(container / "memory.max"), _entries(container / "memory.stat").get("anon")
    if limit is not None and held is not None:
        found.append(max(0, limit - held))
    return min(found, default=None)


def _entries(path: Path) -> dict[str, int]:
    """The numbers of a file of names and numbers, a line each; none if it cannot be read."""
    lines = [line.split() for line in _text(path).splitlines()]
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}


def _first_number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
