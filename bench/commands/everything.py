"""`bench all`: a short pass of everything, in about ten minutes, and the page."""

from __future__ import annotations

import argparse
import time

from bench.report.console import console

__all__ = ["PASSES", "add_to"]

PASSES = (
    "selfcheck",
    "harness --tracks 50 150 300 --seconds 10",
    "latency",
    "accuracy --conditions noise loss apart --seconds 21",
    "step --lanes 1 2 4 --steps 100",
    "capacity --model speaking --first 32 --most 128 --seconds 12 --urgent",
    "capacity --first 2 --most 16 --seconds 20",
    "soak --minutes 10",
    "report",
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "all",
        description="Run every benchmark briefly, keep each result, and draw the page: " + "; ".join(PASSES) + ".",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    del arguments
    from bench.__main__ import main  # here, because it imports the commands

    began_at = time.monotonic()
    failed = []
    for line in PASSES:
        console.rule(f"bench {line}")
        if main(line.split()) != 0:
            failed.append(line)
    console.print(f"took {time.monotonic() - began_at:.0f} s")
    for line in failed:
        console.print(f"[red]failed: bench {line}[/]")
    return 1 if failed else 0
