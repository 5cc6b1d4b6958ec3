"""`bench report` and `bench diff`: results as a page and as tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.report.console import console
from bench.report.page import to_html, to_markdown, to_markdown_changes
from bench.report.results import ResultError, differences, latest, read

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = commands.add_parser(
        "report",
        help="results as one HTML page with plots, and as Markdown",
        description="Draw results as one self-contained HTML page; by default the newest of each benchmark.",
    )
    report.add_argument("results", nargs="*", type=Path, metavar="JSON", help="default: the newest of each")
    report.add_argument("--html", type=Path, default=Path("build/bench.html"), help="default: build/bench.html")
    report.add_argument("--markdown", type=Path, metavar="FILE", help="and its tables as Markdown")
    report.set_defaults(run=run)
    diff = commands.add_parser(
        "diff",
        help="what changed between two results",
        description="Every figure both results have, their ratio, and whether it is beyond the noise of either.",
    )
    diff.add_argument("before", type=Path)
    diff.add_argument("after", type=Path)
    diff.add_argument("--all", action="store_true", help="also what did not change beyond the noise")
    diff.set_defaults(run=run_diff)


def run(arguments: argparse.Namespace) -> int:
    paths = arguments.results or latest()
    if not paths:
        raise ResultError("there are no results yet: run a benchmark first")
    results = [read(path) for path in paths]
    arguments.html.parent.mkdir(parents=True, exist_ok=True)
    arguments.html.write_text(to_html(results), encoding="utf-8")
    console.print(f"{len(results)} results in {arguments.html}")
    if arguments.markdown is not None:
        arguments.markdown.write_text(to_markdown(results), encoding="utf-8")
    return 0


def run_diff(arguments: argparse.Namespace) -> int:
    before, after = read(arguments.before), read(arguments.after)
    if before.bench != after.bench:
        raise ResultError(f"{arguments.before.name} is of {before.bench}, {arguments.after.name} of {after.bench}")
    changes = [change for change in differences(before, after) if arguments.all or change.beyond_noise]
    print(to_markdown_changes(before, after, changes))
    return 0
