"""A checkpoint's weights as the graphs read them: one safetensors file for each checkpoint and precision, written once.

The file is in the user's cache, its name has a digest of what it was made from. It is written under another name and
moved there when it is complete, so one that was broken off is never read.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.files import wrong_files
from captions.models.kyutai.onnx_backend.lm_graph import plan_lm
from captions.models.kyutai.onnx_backend.mimi_weights import plan_mimi
from captions.models.kyutai.onnx_backend.products import KINDS
from captions.models.kyutai.onnx_backend.tensors import Tensors, write_tensors
from captions.models.model import ModelError

__all__ = ["FORMAT", "SUFFIX", "Progress", "cache_folder", "convert", "converted_path", "digest"]

FORMAT = "2"
"""Raised when the same checkpoint is converted to something else than before."""

SAMPLE_BYTES = 1_024
DIGEST_BYTES = 8
SUFFIX = ".safetensors"

Progress = Callable[[int, int], None]
"""Told after each tensor how many bytes of how many are written."""


@dataclass(frozen=True, slots=True)
class Source:
    """The two files of a checkpoint's weights."""

    lm: Tensors
    mimi: Tensors

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Source:
        with wrong_files(checkpoint.lm_path.name):
            lm = Tensors(checkpoint.lm_path)
        with wrong_files(checkpoint.mimi_path.name):
            return cls(lm, Tensors(checkpoint.mimi_path))


def cache_folder() -> Path:
    """Where converted weights are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "captions" / "models"


def digest(checkpoint: Checkpoint, weights: str) -> str:
    """What a conversion is known by: the settings, the layout of both files, and the beginning of each tensor.

    Reading all of some gigabytes would take longer than starting; who trains a model on changes all its tensors.
    """
    source = Source.of(checkpoint)
    found = hashlib.blake2b(digest_size=DIGEST_BYTES)
    found.update(repr((FORMAT, weights, sorted(checkpoint.config.items()), checkpoint.mimi_config)).encode())
    for tensors in (source.lm, source.mimi):
        found.update(tensors.header)
        with tensors.path.open("rb") as file:
            for name in sorted(tensors.entries):
                entry = tensors.entries[name]
                file.seek(entry.offset)
                found.update(file.read(min(entry.size, SAMPLE_BYTES)))
    return found.hexdigest()


def converted_path(checkpoint: Checkpoint, weights: str) -> Path:
    """Where the conversion of `checkpoint` is, or will be.

    Raises:
        ModelError: a file that does not fit the config, or no such kind of weights.
    """
    if weights not in KINDS:
        raise ModelError(f"weights {weights!r} are not one of {', '.join(KINDS)}")
    name = Path(checkpoint.name).name
    return cache_folder() / f"{name}.{weights}.{digest(checkpoint, weights)}{SUFFIX}"


def convert(checkpoint: Checkpoint, weights: str, progress: Progress | None = None) -> Path:
    """Convert `checkpoint` to `weights` ("float32", "int8", "int4"), unless that has been done, and return the file.

    What the same source was converted to before it changed, or by another version, is deleted.

    Raises:
        ModelError: a file that does not fit the config, or no room for the new one.
    """
    path = converted_path(checkpoint, weights)
    if path.is_file():
        return path
    source = Source.of(checkpoint)
    with wrong_files(checkpoint.lm_path.name):
        planned = plan_lm(checkpoint.config, source.lm, KINDS[weights])
    with wrong_files(checkpoint.mimi_path.name):
        planned += plan_mimi(checkpoint.mimi_config, source.mimi, checkpoint.config["n_q"])
    source_name = checkpoint.name if "/" in checkpoint.name else str(checkpoint.config_path.parent.resolve())
    metadata = {
        "format": FORMAT,
        "source": source_name,
        "weights": weights,
        "languages": ",".join(checkpoint.languages),
    }
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            # Whoever else is converting the same is waited for; what a killed one left is written over.
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.is_file():
                return path
            file.truncate(0)
            try:
                for done, total in write_tensors(file, planned, metadata):
                    if progress is not None:
                        progress(done, total)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(0)
                raise
            part.replace(path)
        _forget_older(path, metadata)
    except OSError as error:
        raise ModelError(f"{path.parent} cannot take the converted weights: {error.strerror}") from None
    return path


def _forget_older(path: Path, metadata: Mapping[str, str]) -> None:
    """Delete the conversions that `path` is instead of. Whoever still runs one has it open, and keeps it."""
    for other in path.parent.glob(f"*{SUFFIX}"):
        try:
            said = Tensors(other).metadata
        except (OSError, ValueError, KeyError):
            continue
        if other != path and all(said.get(name) == metadata[name] for name in ("source", "weights")):
            other.unlink(missing_ok=True)
