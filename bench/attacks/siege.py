"""One attack on a server of its own: before, during and after, and what of the issue's targets was missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise

from bench.attacks.attack import FRIEND, GUEST, WATCHER, Attack, Site
from bench.attacks.bystanders import Bystanders, Heard, Spoken, heard_between
from bench.attacks.newcomer import served_after_s
from bench.attacks.vitals import Vitals
from bench.measure.events import TrackLog
from bench.measure.intervals import Figure, exact, percentile_of
from bench.report.results import Run
from bench.servers.own_server import own_server

__all__ = ["PHASES", "besiege", "missed"]

PHASES = ("before", "during", "after")
BEFORE_S, DURING_S, AFTER_S = 8.0, 10.0, 6.0
_NEWCOMER_AFTER_S = 4.0
_PATIENCE_S = 30.0
_KEYS: Mapping[str, object] = {"publish": [FRIEND, GUEST], "watch": [WATCHER]}

_MOST_SLOWER, _MOST_SLOWER_BUSY = 1.3, 2.0
_BUSY_CORES = 0.5
_MOST_MORE_MB, _BACK_MB = 150.0, 30.0


def besiege(attack: Attack, expected: set[Spoken]) -> tuple[Run, set[Spoken]]:
    """The figures of one attack, and the words that came back. `expected`: those that come back where nobody attacks.

    The server and the bystanders run before other processes, as if the attacker had a machine of its own.
    """
    settings = {"keys": _KEYS} | {name: dict(table) for name, table in attack.settings.items()}
    with own_server("speaking", attack.lanes, urgent=True, settings=settings) as server, Vitals(server) as vitals:
        bystanders = Bystanders(server.url, BEFORE_S + DURING_S + AFTER_S)
        began_at = bystanders.talk()
        attacked_at = began_at + BEFORE_S
        over_at = attacked_at + DURING_S
        time.sleep(max(0.0, attacked_at - time.monotonic()))
        logged, used_s = server.log_bytes(), time.process_time()
        newcomer_s = asyncio.run(_attack(attack, Site(server.url, over_at)))
        attacker_cores = (time.process_time() - used_s) / DURING_S
        logs, voices = bystanders.done()
        quiet_mb = vitals.memory_mb(began_at, attacked_at)
        back_s = vitals.back_within_s(quiet_mb + _BACK_MB, over_at, _PATIENCE_S)
        ends = (began_at, attacked_at, over_at, over_at + AFTER_S)
        stretches = dict(zip(PHASES, pairwise(ends), strict=True))
        heard = {phase: heard_between(logs, voices, *stretch) for phase, stretch in stretches.items()}
        figures: dict[str, Figure] = {}
        for phase, stretch in stretches.items():
            figures |= _of_phase(phase, heard[phase], expected)
            figures[f"memory_{phase}"] = exact(vitals.memory_mb(*stretch), "MB")
            figures[f"cpu_{phase}"] = exact(vitals.cpu(*stretch), "cores")
        figures |= {
            "memory_back": exact(_PATIENCE_S * 2 if back_s is None else back_s, "s"),
            "newcomer_served": exact(-1.0 if newcomer_s is None else newcomer_s, "s"),
            "attacker_cpu": exact(attacker_cores, "cores"),
            "troubles": exact(sum(len(log.troubles) for log in logs), ""),
            "logged": exact((server.log_bytes() - logged) / 1_000, "kB"),
        }
        run = Run(attack.name, figures, notes=_notes(logs))
    return run, set().union(*(phase.heard for phase in heard.values()))


def missed(run: Run) -> list[str]:
    """Which of the targets were missed, in words."""
    value = {name: figure.value for name, figure in run.figures.items()}
    busy = value["attacker_cpu"] > _BUSY_CORES
    slower = value.get("latency_p95_during", 0.0) / max(1.0, value.get("latency_p95_before", 0.0))
    misses = {
        "gaps": value["gaps_during"] + value["gaps_after"] > 0,
        "words lost": value["lost_during"] + value["lost_after"] > 0,
        f"latency × {slower:.2f}": slower > (_MOST_SLOWER_BUSY if busy else _MOST_SLOWER),
        "memory": max(value["memory_during"], value["memory_after"]) > value["memory_before"] + _MOST_MORE_MB,
        "memory not back": value["memory_back"] > _PATIENCE_S,
        "newcomer not served": value["newcomer_served"] < 0,
        "troubles": value["troubles"] > 0,
    }
    return [what for what, is_missed in misses.items() if is_missed]


async def _attack(attack: Attack, site: Site) -> float | None:
    """How long a newcomer waited for a word."""
    newcomer = asyncio.create_task(_come_later(site))
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(site.ends_at - time.monotonic() + 2.0):
            await attack.assault(site)
    return await newcomer


async def _come_later(site: Site) -> float | None:
    await asyncio.sleep(_NEWCOMER_AFTER_S)
    return await served_after_s(site.url, DURING_S)


def _of_phase(phase: str, heard: Heard, expected: set[Spoken]) -> dict[str, Figure]:
    latency = percentile_of(heard.latency_ms, 95, "ms")
    lost = (expected & heard.spoken) - heard.heard
    return {
        f"words_{phase}": exact(len(heard.heard), ""),
        f"lost_{phase}": exact(len(lost), ""),
        **({f"latency_p95_{phase}": latency} if latency is not None else {}),
        f"gaps_{phase}": exact(heard.lost_s, "s"),
    }


def _notes(logs: list[TrackLog]) -> list[str]:
    messages = [trouble.message for log in logs for trouble in log.troubles]
    return [f"{messages.count(message)} × {message}" for message in dict.fromkeys(messages)]
