"""The harness's command line: `python -m bench COMMAND`."""

from __future__ import annotations

import argparse
import sys

import msgspec

from bench.commands import capacity, compare, harness, latency, selfcheck, soak
from bench.load import LoadError
from bench.results import ResultError
from captions.cli.errors import CommandError

__all__ = ["main"]

_COMMANDS = (latency, capacity, compare, soak, selfcheck, harness)


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
    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except (CommandError, LoadError, ResultError, OSError, msgspec.DecodeError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
