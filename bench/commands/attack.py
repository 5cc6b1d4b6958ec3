"""`bench attack`: what somebody who means it no good can do to people who talk on the same server."""

from __future__ import annotations

import argparse

from rich.table import Table

from bench.attacks import audio, floods, handshakes, parsers, rooms, slots, unread
from bench.attacks.attack import Attack, Site
from bench.attacks.siege import PHASES, besiege, missed
from bench.measure.intervals import Figure
from bench.report.console import console, finish
from bench.report.results import Result, Run

__all__ = ["ATTACKS", "add_to"]

_FAMILIES = (audio, slots, floods, unread, rooms, handshakes, parsers)
ATTACKS: dict[str, Attack] = {attack.name: attack for family in _FAMILIES for attack in family.ATTACKS}
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
        "Without a name: every attack, each on a server of its own, about 35 s each.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="; ".join(f"{a.name}: {a.what}" for a in ATTACKS.values())
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    unknown = set(arguments.names) - set(ATTACKS)
    if unknown:
        console.print(f"no such attack: {', '.join(sorted(unknown))}; there are {', '.join(ATTACKS)}")
        return 2
    chosen = [ATTACKS[name] for name in arguments.names or ATTACKS]
    with console.status("nobody attacks"):
        quiet, expected = besiege(_NONE, set())
    runs = [quiet]
    for number, attack in enumerate(chosen, 1):
        with console.status(f"{number} of {len(chosen)}: {attack.what}"):
            runs.append(besiege(attack, expected)[0])
        console.print(f"{attack.name}: {', '.join(missed(runs[-1])) or 'held'}")
    console.print(_table(runs))
    names = " ".join(arguments.names) or "all"
    kept = finish(Result("attack", "Attacks, and who talks beside them", {"names": names}, runs))
    return kept or int(any(missed(one) for one in runs[1:]))


async def _nobody(site: Site) -> None:
    await site.until_over()


_NONE = Attack("quiet", "nobody attacks", _nobody)


def _table(runs: list[Run]) -> Table:
    table = Table("before / during / after", *_COLUMNS.values(), "newcomer, s", "missed")
    for one in runs:
        cells = []
        for column in _COLUMNS:
            values = [one.figures.get(f"{column}_{phase}") for phase in PHASES]
            cells.append(" / ".join("—" if value is None else _number(value) for value in values))
        table.add_row(one.name, *cells, _number(one.figures["newcomer_served"]), "\n".join(missed(one)))
    return table


def _number(figure: Figure) -> str:
    return f"{figure.value:.0f}" if figure.unit in ("", "ms", "MB") else f"{figure.value:.1f}"
