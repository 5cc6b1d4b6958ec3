"""What a process and its children take: processor time, memory, files. Linux's /proc."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["cpu_s", "family", "hurry", "main_thread_cpu_s", "open_files", "resident_mb", "threads"]

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def hurry() -> None:
    """Run before others, where that is allowed (root): a harness that waits for the processor measures its own wait."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def family(pid: int) -> list[int]:
    """A process and all its living descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def cpu_s(pid: int) -> float:
    """Processor seconds of a process, its living descendants, and the children it has waited for."""
    total = 0
    for member in family(pid):
        try:
            stat = Path(f"/proc/{member}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        total += sum(int(stat[place]) for place in (11, 12, 13, 14))
    return total / _TICKS_PER_S


def main_thread_cpu_s(pid: int) -> float:
    """Processor seconds of a process's first thread; of our server that is the event loop."""
    stat = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(int(stat[place]) for place in (11, 12)) / _TICKS_PER_S


def resident_mb(pid: int) -> float:
    """Memory of a process and its living descendants, pages they share counted once for each."""
    total = 0
    for member in family(pid):
        try:
            total += int(Path(f"/proc/{member}/statm").read_text().split()[1])
        except OSError:
            continue
    return total * _PAGE_MB


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))
