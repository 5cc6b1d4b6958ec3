"""The hashed requirements are those of pyproject.toml, in the versions of constraints.txt, and name no registry."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
HASHED = (ROOT / "requirements-hashed.txt").read_text(encoding="utf-8")
PINS = dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", HASHED, re.MULTILINE))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_version_is_the_one_of_the_constraints() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if "==" in line]
    pinned = {canonical(name): version.partition(";")[0].strip() for name, version in pairs}
    assert PINS
    assert {name: version for name, version in PINS.items() if pinned.get(name, version) != version} == {}


def test_every_package_that_the_base_install_and_the_demo_name_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["demo"]]
    assert {canonical(re.split(r"[\[<>=; ]", name)[0]) for name in asked} <= PINS.keys()


def test_every_package_has_hashes_and_no_line_says_where_to_fetch_it() -> None:
    blocks = re.split(r"^(?=[a-z0-9-]+==)", HASHED, flags=re.MULTILINE)[1:]
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", block) for block in blocks)
    assert len(blocks) == len(PINS)
    assert "://" not in HASHED
