"""`bench attack`: what somebody who means it no good can do to people who talk on the same server."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from rich.table import Table

from bench.attacks import audio, floods, handshakes, parsers, rooms, slots, unread
from bench.attacks.attack import Attack, Site
from bench.attacks.endings import ENDINGS, suffer
from bench.attacks.endings import missed as endings_missed
from bench.attacks.siege import PHASES, besiege, missed
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


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "attack",
        description="Four people talk in real time, each on a connection of their own; then somebody attacks the "
        "server for ten seconds, and a newcomer wants captions meanwhile. Status 1 if anybody lost a word, had a gap, "
        "waited much longer than before, if the newcomer was not served, or if the server's memory did not come back. "
        "Then servers that die in mid-speech under a supervisor: is everybody told, and are there captions again? "
        "Without a name: every attack, each on a server of its own, about 35 s each.",
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
    attacks = [attack for name, attack in ATTACKS.items() if name in arguments.names or not arguments.names]
    endings = [ending for name, ending in ENDINGS.items() if name in arguments.names or not arguments.names]
    misses: dict[str, list[str]] = {}
    runs: list[Run] = []
    if attacks:
        with console.status("nobody attacks"):
            quiet, expected = besiege(_NONE, set())
        runs.append(quiet)
    for attack in attacks:
        with console.status(f"{attack.name}: {attack.what}"):
            runs.append(besiege(attack, expected)[0])
        misses[attack.name] = missed(runs[-1])
        console.print(f"{attack.name}: {', '.join(misses[attack.name]) or 'held'}")
    for ending in endings:
        with console.status(f"{ending.name}: {ending.what}"):
            runs.append(suffer(ending))
        misses[ending.name] = endings_missed(ending, runs[-1])
        console.print(f"{ending.name}: {', '.join(misses[ending.name]) or 'held'}")
    console.print(_table(runs, misses))
    names = " ".join(arguments.names) or "all"
    kept = finish(Result("attack", "Attacks, and who talks beside them", {"names": names}, runs))
    return kept or int(any(misses.values()))


async def _nobody(site: Site) -> None:
    await site.until_over()


_NONE = Attack("quiet", "nobody attacks", _nobody)


def _table(runs: list[Run], misses: Mapping[str, list[str]]) -> Table:
    table = Table("before / during / after", *_COLUMNS.values(), "newcomer, s", "ended, s", "again, s", "missed")
    for one in runs:
        cells = []
        for column in _COLUMNS:
            values = [_number(one.figures.get(f"{column}_{phase}")) for phase in PHASES]
            cells.append(" / ".join(values) if any(value != "—" for value in values) else "—")
        single = [_number(one.figures.get(name)) for name in ("newcomer_served", "ended_after", "captions_again")]
        table.add_row(one.name, *cells, *single, "\n".join(misses.get(one.name, [])))
    return table


def _number(figure: Figure | None) -> str:
    if figure is None:
        return "—"
    return f"{figure.value:.0f}" if figure.unit in ("", "ms", "MB") else f"{figure.value:.1f}"
