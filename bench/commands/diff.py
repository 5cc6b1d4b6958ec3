"""`bench diff`: what changed between two results."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.report.page import to_markdown_changes
from bench.report.results import ResultError, differences, read

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "diff",
        description="Every figure both results have, their ratio, and whether it is beyond the noise of either.",
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--all", action="store_true", help="also what did not change beyond the noise")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    before, after = read(arguments.before), read(arguments.after)
    if before.bench != after.bench:
        raise ResultError(f"{arguments.before.name} is of {before.bench}, {arguments.after.name} of {after.bench}")
    changes = [change for change in differences(before, after) if arguments.all or change.beyond_noise]
    print(to_markdown_changes(before, after, changes))
    return 0
