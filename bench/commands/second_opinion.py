"""`bench second-opinion`: a checkpoint run by Hugging Face transformers as well, which has to be installed."""

from __future__ import annotations

import argparse
from pathlib import Path

from captions.cli.demo import clip

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("second-opinion", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--audio", type=Path, default=clip(), help="a recording; default: the demo's")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from bench.kyutai.second_opinion import compare

    frames, codes, equal_codes, equal_tokens = compare(arguments.model, arguments.audio, arguments.seconds)
    print(f"second opinion frames={frames} codes={codes} equal={equal_codes} tokens={frames} equal={equal_tokens}")
    return 0 if equal_codes == codes and equal_tokens == frames else 1
