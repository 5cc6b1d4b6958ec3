"""Tensors in a safetensors file: read without copying, and written one at a time so that no model need fit in memory.

The format: 8 bytes with the header's length, a JSON header with each tensor's type, shape and place, then the values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

__all__ = ["Entry", "Planned", "Tensors", "write_tensors"]

DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "I32": np.dtype(np.int32),
    "I64": np.dtype(np.int64),
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}

LENGTH_BYTES = 8
ALIGNMENT = 64
MOST_HEADER_BYTES = 100 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one tensor is in its file: `offset` and `size` in bytes."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    size: int


class Tensors:
    """The tensors of the safetensors file `path`, by name. Reading one maps its part of the file and copies nothing.

    Raises:
        ValueError: the file is no such thing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            if not 0 < length <= MOST_HEADER_BYTES:
                raise ValueError(f"{path.name} is not a safetensors file")
            self.header = file.read(length)
        described = json.loads(self.header)
        self.metadata: dict[str, str] = described.pop("__metadata__", {})
        start, end = LENGTH_BYTES + length, path.stat().st_size
        self.entries = {name: _entry(name, value, start, end) for name, value in described.items()}

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The values of a tensor in the type they are stored in; read-only."""
        entry = self._entry(name)
        if entry.size == 0:
            return np.zeros(entry.shape, entry.dtype)
        return np.memmap(self.path, entry.dtype, "r", entry.offset, entry.shape)

    def float32(self, name: str) -> NDArray[np.float32]:
        """The values of a tensor as float32."""
        return np.asarray(self[name]).astype(np.float32)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._entry(name).shape

    def _entry(self, name: str) -> Entry:
        if name not in self.entries:
            raise KeyError(f"{self.path.name} has no tensor {name}")
        return self.entries[name]


def _entry(name: str, value: Mapping[str, Any], start: int, end: int) -> Entry:
    first, last = value["data_offsets"]
    dtype, shape = DTYPES.get(value["dtype"]), tuple(value["shape"])
    if dtype is None:
        raise ValueError(f"{name} is of type {value['dtype']}, which is not read")
    if not 0 <= first <= last <= end - start or last - first != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
        raise ValueError(f"{name} does not fit the file, which may have been cut short")
    return Entry(dtype, shape, start + first, last - first)


@dataclass(frozen=True, slots=True)
class Planned:
    """A tensor to be written: its values are made when their turn comes."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    make: Callable[[], NDArray[Any]]

    @property
    def size(self) -> int:
        """In bytes."""
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))


def write_tensors(
    file: IO[bytes], planned: Iterable[Planned], metadata: Mapping[str, str]
) -> Iterator[tuple[int, int]]:
    """Write a safetensors file; after each tensor gives how many bytes of how many are written.

    The widest types come first, so every tensor starts at a multiple of its type's size, without holes.
    """
    tensors = sorted(planned, key=lambda tensor: -tensor.dtype.itemsize)
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for tensor in tensors:
        places = [end, end + tensor.size]
        header[tensor.name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": places,
        }
        end += tensor.size
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + LENGTH_BYTES) % ALIGNMENT)
    file.write(len(text).to_bytes(LENGTH_BYTES, "little") + text)
    written = 0
    for tensor in tensors:
        values = np.ascontiguousarray(tensor.make())
        if values.shape != tensor.shape or values.dtype != tensor.dtype:
            raise ValueError(f"{tensor.name} came out as {values.dtype}{values.shape}")
        file.write(values.tobytes() if values.dtype.itemsize == 2 else values.data)
        written += tensor.size
        yield written, end
