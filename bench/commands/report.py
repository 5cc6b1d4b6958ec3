"""`bench report`: results as a page and as tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.report.console import console
from bench.report.page import to_html, to_markdown
from bench.report.results import ResultError, latest, read

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "report",
        description="Draw results as one self-contained HTML page; by default the newest of each benchmark.",
    )
    parser.add_argument("results", nargs="*", type=Path, metavar="JSON", help="default: the newest of each")
    parser.add_argument("--html", type=Path, default=Path("build/bench.html"), help="default: build/bench.html")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="and its tables as Markdown")
    parser.set_defaults(run=run)


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
