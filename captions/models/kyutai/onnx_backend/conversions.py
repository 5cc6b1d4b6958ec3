"""What converted weights are on this machine, by what their files say of themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from captions.models.kyutai.onnx_backend.convert import FORMAT, SUFFIX, cache_folder
from captions.models.kyutai.onnx_backend.tensors import Tensors

__all__ = ["Conversion", "conversions", "everything"]


@dataclass(frozen=True, slots=True)
class Conversion:
    """A file of converted weights. `source`: the folder or the name on the model hub that it was made from."""

    path: Path
    source: str
    weights: str
    languages: tuple[str, ...]
    size: int


def conversions() -> list[Conversion]:
    """All of them, the newest first. What cannot be read, or was written by another version, is left out."""
    found = []
    for path in cache_folder().glob(f"*{SUFFIX}"):
        try:
            said = Tensors(path).metadata
        except (OSError, ValueError, KeyError):
            continue
        if said.get("format") == FORMAT and {"source", "weights", "languages"} <= said.keys():
            languages = tuple(said["languages"].split(","))
            size = path.stat().st_size
            found.append((path.stat().st_mtime, Conversion(path, said["source"], said["weights"], languages, size)))
    return [conversion for _, conversion in sorted(found, key=lambda pair: -pair[0])]


def everything() -> tuple[Path, int]:
    """The folder, and the bytes of all that lies in it, also of what another version wrote or did not finish."""
    folder = cache_folder()
    return folder, sum(path.stat().st_size for path in folder.glob("*") if path.is_file())
