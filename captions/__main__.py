"""The commands: `captions serve | check | watch | rooms | transcribe | mic | livekit-agent | demo | models ...`."""

from __future__ import annotations

import argparse
import os
import sys

from captions import __version__
from captions.cli import check, completion, demo, livekit_agent, mic, models, nodes, rooms, serve, transcribe, watch
from captions.cli.errors import CommandError
from captions.client import ConnectError
from captions.config import ConfigError
from captions.models.model import ModelError

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run a command; every foreseen failure is one line on standard error and exit status 1 (2 for bad usage)."""
    parser = argparse.ArgumentParser(prog="captions", description="Realtime live captions for video meetings.")
    parser.add_argument("--version", action="version", version=f"captions {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (serve, check, watch, rooms, transcribe, mic, livekit_agent, demo, models, nodes, completion):
        command.add_to(commands)
    arguments = parser.parse_args(argv)
    arguments.whole = parser
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except (CommandError, ConfigError, ConnectError, ModelError) as error:
        print(f"captions: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Who reads our output, such as `head`, has had enough. What is left of it must not fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status


if __name__ == "__main__":
    sys.exit(main())
