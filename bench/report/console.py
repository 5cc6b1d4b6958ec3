"""What every command shows: a progress bar while it runs, its figures, where they were kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bench.report.names import interval, reading, title
from bench.report.results import Result, Run, keep

__all__ = ["console", "finish", "progress", "show"]

console = Console(stderr=not sys.stdout.isatty())


@contextmanager
def progress(title: str, total_s: float) -> Iterator[Callable[[float], None]]:
    """A bar over `total_s`; call what it gives with the seconds that have passed."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task(title, total=total_s)
        yield lambda elapsed_s: bars.update(bar, completed=min(elapsed_s, total_s))


def show(run: Run, only: tuple[str, ...] = ()) -> None:
    """A run's figures with their intervals."""
    table = Table(title=run.name, title_justify="left")
    for heading in ("figure", "value", "95% interval", "n"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for name, figure in run.figures.items():
        if not only or name in only:
            table.add_row(title(name), reading(figure), interval(figure), str(figure.n))
    console.print(table)
    for note in run.notes:
        console.print(f"[yellow]{note}[/]")


def finish(result: Result) -> int:
    """Keep the result, say where."""
    path = keep(result)
    console.print(f"kept as {path.parent.name}/{path.name}; `python -m bench report` draws it")
    return 0
