"""Fuzz one target for a while: `python -m tests.fuzz ogg --seconds 60`. The only importer of atheris.

Ends with status 0 if nothing was found; else the bytes are kept in a file named `crash-` and a digest. What a target
found belongs in test_found.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import atheris

from tests.fuzz import TARGETS

_LONGEST_INPUT = 4_096


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    with atheris.instrument_imports(include=["captions"]):
        target = import_module(f"tests.fuzz.{arguments.target}")
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(target.seeds()):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [
            f"-max_total_time={arguments.seconds}",
            f"-max_len={_LONGEST_INPUT}",
            "-timeout=10",
            "-rss_limit_mb=2048",
        ]
        atheris.Setup([sys.argv[0], *options, "-print_final_stats=1", corpus], target.check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
