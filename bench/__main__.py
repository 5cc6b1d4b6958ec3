"""The harness's command line: `python -m bench COMMAND`."""

from __future__ import annotations

import argparse
import sys

import msgspec

from bench.commands import (
    accuracy,
    capacity,
    compare,
    everything,
    harness,
    latency,
    overload,
    report,
    selfcheck,
    soak,
    step,
    storm,
    truth,
)
from bench.load.processes import LoadError
from bench.report.results import ResultError
from captions.cli.errors import CommandError
from captions.models.model import ModelError

__all__ = ["main"]

_COMMANDS = (latency, accuracy, capacity, compare, step, overload, storm, soak, selfcheck, harness, truth, report)


def main(argv: list[str] | None = None) -> int:
    """Run a command; every foreseen failure is one line on standard error and exit status 1 (2 for bad usage)."""
    parser = argparse.ArgumentParser(
        prog="bench",
        description="Measure a realtime captioning server: ours, or any that speaks one of the protocols known here. "
        "Every figure is defined in docs/benchmarks.md; each command keeps a dated JSON in bench/results.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    for command in _COMMANDS:
        command.add_to(commands)
    everything.add_to(commands, main)
    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except (CommandError, LoadError, ModelError, ResultError, OSError, msgspec.DecodeError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
