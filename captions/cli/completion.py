"""`captions completion`: a script with which a shell completes our commands, made by shtab."""

from __future__ import annotations

import argparse

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "completion",
        help="complete commands in your shell",
        description="Print a script that completes these commands: captions completion bash > "
        "~/.local/share/bash-completion/completions/captions",
    )
    parser.add_argument("shell", choices=["bash", "zsh", "tcsh"])
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import shtab

    print(shtab.complete(arguments.whole, arguments.shell))
    return 0
