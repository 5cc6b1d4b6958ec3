"""Runs the steps of the Dockerfile without a daemon: COPY and RUN, in a clean folder with a Python of its own.

python deploy/try_dockerfile.py FOLDER      then FOLDER/venv/bin/captions serves
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path

DEPLOY = Path(__file__).parent
CONTEXT = DEPLOY.parent


def steps() -> list[tuple[str, str]]:
    """The instructions, in order, their continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def run(folder: Path) -> None:
    """Do what a daemon would."""
    image = folder / "image"
    image.mkdir(parents=True)
    venv.create(folder / "venv", with_pip=True)
    environment = {"PATH": f"{folder / 'venv' / 'bin'}:{os.environ['PATH']}", "EXTRAS": "", "HOME": str(folder)}
    for word, rest in steps():
        if word == "COPY":
            *sources, target = shlex.split(rest)
            for source in sources:
                copy(CONTEXT / source, image / target)
        elif word == "RUN":
            subprocess.run(["sh", "-c", rest], cwd=image, env=environment, check=True)


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


if __name__ == "__main__":
    run(Path(sys.argv[1]).absolute())
