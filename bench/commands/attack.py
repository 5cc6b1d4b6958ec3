"""`bench attack`: what somebody who means it no good can do to people who talk on the same server."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.attacks import audio, floods, handshakes, parsers, rooms, slots, unread
from bench.attacks.attack import Attack, Site
from bench.attacks.bystanders import Spoken
from bench.attacks.endings import ENDINGS, suffer
from bench.attacks.endings import missed as endings_missed
from bench.attacks.siege import PHASES, besiege, missed
from bench.load.processes import LoadError
from bench.measure.intervals import Figure
from bench.report.console import console, finish
from bench.report.results import Result, Run

__all__ = ["ATTACKS", "add_to"]

_FAMILIES = (audio, slots, floods, unread, rooms, handshakes, parsers)
ATTACKS: dict[str, Attack] = {attack.name: attack for family in _FAMILIES for attack in family.ATTACKS}
_WHAT = {attack.name: attack.what for attack in ATTACKS.values()} | {one.name: one.what for one in ENDINGS.values()}
_COLUMNS = {
    "words": "words",
    "latency_p95": "latency p95, ms",
    "gaps": "gaps, s",
    "memory": "memory, MB",
    "cpu": "cores",
}
_SINGLE = {"newcomer_served": "newcomer, s", "ended_after": "ended, s", "captions_again": "again, s"}


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "attack",
        description="Four people talk in real time, each on a connection of their own; then somebody attacks the "
        "server for ten seconds, and a newcomer wants captions meanwhile. Status 1 if anybody lost a word, had a gap, "
        "waited much longer than before, if the newcomer was not served, or if the server's memory did not come back. "
        "Then servers that die in mid-speech under a supervisor: is everybody told, and are there captions again? "
        "Without a name: every attack, each on a server of its own, about 35 s each. What was done is kept if it is "
        "interrupted.",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="; ".join(f"{name}: {what}" for name, what in _WHAT.items()),
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    unknown = set(arguments.names) - set(_WHAT)
    if unknown:
        console.print(f"no such attack: {', '.join(sorted(unknown))}; there are {', '.join(_WHAT)}")
        return 2
    course = _Course()
    names = " ".join(arguments.names) or "all"
    ended = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        course.run(arguments.names)
    finally:
        signal.signal(signal.SIGTERM, ended)
        if course.runs:
            finish(Result("attack", "Attacks, and who talks beside them", {"names": names}, course.runs))
    return int(any(course.misses.values()))


class _Course:
    """One attack and end after the other, each a row of the table as soon as it is over."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.misses: dict[str, list[str]] = {}

    def run(self, names: list[str]) -> None:
        """Those of these names, or all."""
        attacks = [attack for name, attack in ATTACKS.items() if name in names or not names]
        endings = [ending for name, ending in ENDINGS.items() if name in names or not names]
        console.print(_HEAD, soft_wrap=True, highlight=False)
        expected: set[Spoken] = set()
        if attacks:
            with console.status("nobody attacks"):
                quiet, expected = besiege(_NONE, set())
            self._took_place(quiet, [])
        for attack in attacks:
            with console.status(f"{attack.name}: {attack.what}"), self._or_not(attack.name):
                run = besiege(attack, expected)[0]
                self._took_place(run, missed(run))
        for ending in endings:
            with console.status(f"{ending.name}: {ending.what}"), self._or_not(ending.name):
                run = suffer(ending)
                self._took_place(run, endings_missed(ending, run))

    def _took_place(self, run: Run, misses: list[str]) -> None:
        self.runs.append(run)
        self.misses[run.name] = misses
        console.print(_row(run, misses), soft_wrap=True, highlight=False)

    @contextmanager
    def _or_not(self, name: str) -> Iterator[None]:
        """One that cannot be run is missed, and the others are run."""
        try:
            yield
        except LoadError as error:
            self.misses[name] = [f"not run: {error}"]
            console.print(f"{name}: not run: {error}", soft_wrap=True, highlight=False)


async def _nobody(site: Site) -> None:
    await site.until_over()


_NONE = Attack("quiet", "nobody attacks", _nobody)


def _row(run: Run, misses: list[str]) -> str:
    cells = []
    for column in _COLUMNS:
        values = [_number(run.figures.get(f"{column}_{phase}")) for phase in PHASES]
        cells.append(" / ".join(values) if any(value != "—" for value in values) else "—")
    cells += [_number(run.figures.get(name)) for name in _SINGLE]
    return _line(run.name, cells, ", ".join(misses) or "held")


def _line(name: str, cells: Sequence[str], end: str) -> str:
    return "".join([f"{name:<24}", *(f"{cell:<21}" for cell in cells[: len(_COLUMNS)])]) + "".join(
        [*(f"{cell:<12}" for cell in cells[len(_COLUMNS) :]), end]
    )


def _number(figure: Figure | None) -> str:
    if figure is None:
        return "—"
    return f"{figure.value:.0f}" if figure.unit in ("", "ms", "MB") else f"{figure.value:.1f}"


_HEAD = _line("before / during / after", [*_COLUMNS.values(), *_SINGLE.values()], "missed")
