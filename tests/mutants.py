"""`make mutants`: every small change that mutmut makes to the pure core, and how many of them its own tests notice.

The modules and their tests are listed under [tool.mutmut] in pyproject.toml. What was not noticed is listed at the end;
`python -m mutmut show NAME` prints such a change.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

__all__ = ["main"]

LEAST_NOTICED = 0.93
WORK = Path("mutants")
SURVIVED = {0, 33}
"""The exit codes of tests that passed in spite of a change, and of a change that no test reached."""


def main() -> int:
    """Run them all, which resumes a run that was interrupted. Exit status 1 if too few were noticed."""
    subprocess.run([sys.executable, "-m", "mutmut", "run"], check=True)
    noticed_in_all = made_in_all = 0
    survivors: list[str] = []
    for meta in sorted(WORK.rglob("*.py.meta")):
        codes: dict[str, int] = json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
        survived = [name for name, code in codes.items() if code in SURVIVED]
        noticed, made = len(codes) - len(survived), len(codes)
        if made:
            name = str(meta.relative_to(WORK)).removesuffix(".meta")
            print(f"{name:40} {noticed:4d} of {made:4d} noticed, {noticed / made:6.1%}")
        survivors += survived
        noticed_in_all, made_in_all = noticed_in_all + noticed, made_in_all + made
    print(f"{'all':40} {noticed_in_all:4d} of {made_in_all:4d} noticed, {noticed_in_all / made_in_all:6.1%}")
    print("not noticed:", *survivors, sep="\n  ")
    return int(noticed_in_all / made_in_all < LEAST_NOTICED)


if __name__ == "__main__":
    sys.exit(main())
