"""The harness's command line: `python -m bench COMMAND`."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

import msgspec

from bench.load.processes import LoadError
from bench.report.results import ResultError
from captions.cli.errors import CommandError
from captions.models.model import ModelError

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "latency": "every latency figure of one clip in real time",
    "accuracy": "word errors, word times and speech boundaries",
    "capacity": "the most tracks held at a latency people can follow",
    "reading": "the CPU default in virtual time: how late, how steady, how right, at what cost",
    "fast": "the CPU default on speech that is sped up: is a fast speaker cut?",
    "doors": "the same speech through every door, by its real clients: words, first text, cost",
    "compare": "our server against another, on the same audio",
    "step": "what one model step costs, by lanes",
    "overload": "far more speakers than lanes, then calm",
    "storm": "clients that vanish, hang and swarm: does anything leak?",
    "attack": "what somebody who means it no good can do to those who talk beside them",
    "soak": "does anything grow?",
    "ingest": "what hearing costs a track-second, against bare decoding and detection",
    "silent": "what silent participants cost",
    "cost": "what a participant costs the server, sockets and all, by protocol and load",
    "cluster": "several nodes over one Redis: what the bus adds, what a node that dies or restarts costs",
    "demo-cluster": "real speech through two nodes, of which one is killed, and captions from a gateway",
    "network": "what loss, and skipping silence, cost in words",
    "simulate": "how many people a batch of lanes captions, in virtual time",
    "digits": "the digits checkpoint through the server",
    "cpu": "what a step of Kyutai's model costs on a CPU, with converted weights, beside moshi's loop",
    "gpu": "a first meeting of Kyutai's model with a GPU: is it exact, how fast, how many lanes",
    "oracle": "Kyutai's model: every token is that of moshi's own loop",
    "kyutai": "Kyutai's model: what a step costs, ours beside moshi's",
    "second-opinion": "Kyutai's model: the same tokens by Hugging Face transformers",
    "sfu": "three people in a room of a real SFU, captioned from the RTP that it forwards",
    "browser": "the captions in a real Chromium",
    "screenshots": "the pictures of README.md",
    "selfcheck": "check the harness itself against a scripted server",
    "harness": "how many tracks the harness can drive in time",
    "truth": "gold words of English speech whose text is known",
    "report": "results as one HTML page with plots, and as Markdown",
    "diff": "what changed between two results",
    "all": "a short pass of everything, about ten minutes",
}
"""Each is a module of bench/commands; only the chosen one is imported, as some need torch or a browser."""


_MODULES = {"all": "everything", "demo-cluster": "demo_cluster", "second-opinion": "second_opinion"}
"""Where the module has another name than the command."""


def main(argv: list[str] | None = None) -> int:
    """Run a command; every foreseen failure is one line on standard error and exit status 1 (2 for bad usage)."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="bench",
        description="Measure a realtime captioning server: ours, or any that speaks one of the protocols known here. "
        "Every figure is defined in docs/benchmarks.md; each command keeps a dated JSON in bench/results.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    for name, help_text in COMMANDS.items():
        if argv[:1] == [name]:
            import_module(f"bench.commands.{_MODULES.get(name, name)}").add_to(commands)
        else:
            commands.add_parser(name, help=help_text)
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
