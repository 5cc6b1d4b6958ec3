"""Results as dated JSON files, and how two of them differ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.measure.intervals import Figure
from bench.report.machine import machine

__all__ = ["FOLDER", "Change", "Result", "ResultError", "Run", "differences", "keep", "latest", "read"]

FOLDER = Path(__file__).parents[1] / "results"

_BETTER_HIGHER = frozenset({"capacity_tracks", "tracks_in_time", "words"})
_NEITHER = frozenset({"words", "audio_s", "tracks"})


class ResultError(Exception):
    """A file that is no result; the message is one line."""


@dataclass(frozen=True, slots=True)
class Run:
    """One thing measured. `series`: what the plots are drawn from, columns of equal length by plot and name."""

    name: str
    figures: dict[str, Figure]
    series: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Result:
    """One invocation of one benchmark. `bench` says which, `settings` with what."""

    bench: str
    title: str
    settings: dict[str, str]
    runs: list[Run]
    at: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    machine: dict[str, str] = field(default_factory=machine)

    def run(self, name: str) -> Run | None:
        return next((run for run in self.runs if run.name == name), None)


@dataclass(frozen=True, slots=True)
class Change:
    """A figure in two results. `beyond_noise`: their confidence intervals do not touch."""

    run: str
    figure: str
    before: Figure
    after: Figure

    @property
    def ratio(self) -> float | None:
        return self.after.value / self.before.value if self.before.value else None

    @property
    def beyond_noise(self) -> bool:
        before, after = self.before, self.after
        low = before.low if before.low is not None else before.value
        high = before.high if before.high is not None else before.value
        other_low = after.low if after.low is not None else after.value
        other_high = after.high if after.high is not None else after.value
        return high < other_low or other_high < low

    @property
    def verdict(self) -> str:
        if not self.beyond_noise or self.figure in _NEITHER:
            return ""
        grew = self.after.value > self.before.value
        return "better" if grew == (self.figure in _BETTER_HIGHER) else "worse"


def keep(result: Result, folder: Path = FOLDER) -> Path:
    """Write a result under its date and name; returns where."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = re.sub(r"[-:]", "", result.at).removesuffix("Z").replace("T", "-")
    path = folder / f"{stamp}-{result.bench}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(_rounded(result)), indent=1) + b"\n")
    return path


def read(path: Path) -> Result:
    """One result.

    Raises:
        ResultError: no such file, or not one of ours.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Result)
    except OSError as error:
        raise ResultError(f"{path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise ResultError(f"{path}: {error}") from None


def latest(folder: Path = FOLDER) -> list[Path]:
    """The newest result of each benchmark, by name."""
    newest: dict[str, Path] = {}
    for path in sorted(folder.glob("*.json")):
        newest[path.stem.split("-", 2)[-1]] = path
    return [path for _, path in sorted(newest.items())]


def differences(before: Result, after: Result) -> Iterator[Change]:
    """Every figure both results have, run by run in order."""
    for old in before.runs:
        new = after.run(old.name)
        if new is None:
            continue
        for name, figure in old.figures.items():
            if name in new.figures:
                yield Change(old.name, name, figure, new.figures[name])


def _rounded(result: Result) -> object:
    """With no more digits than mean anything."""
    return _round(msgspec.to_builtins(result))


def _round(value: object) -> object:
    match value:
        case float():
            return float(f"{value:.6g}")
        case dict():
            return {name: _round(inner) for name, inner in value.items()}
        case list():
            return [_round(inner) for inner in value]
    return value
