"""`captions models`: fetch a checkpoint ahead of time."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec

from captions.cli.errors import CommandError
from captions.models.load import KYUTAI

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("models", help="fetch models", description="Models from the model hub.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    pull = verbs.add_parser("pull", help="fetch a checkpoint", description="Fetch a checkpoint into the hub's cache.")
    pull.add_argument("name", nargs="?", default=KYUTAI, help=f"its name on the model hub (default: {KYUTAI})")
    pull.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if find_spec("moshi") is None:
        raise CommandError("fetching models needs the Kyutai extra: pip install 'captions[kyutai]'")
    from captions.models.kyutai.hub import pull

    print(f"fetching {arguments.name} from the model hub", file=sys.stderr)
    print(pull(arguments.name))
    return 0
