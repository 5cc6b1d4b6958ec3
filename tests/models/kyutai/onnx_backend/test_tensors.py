"""Reading and writing safetensors files, against the package that defines them."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from captions.models.kyutai.onnx_backend.tensors import Planned, Tensors, write_tensors


def test_what_torch_wrote_is_read(tmp_path: Path) -> None:
    wrote = {"a": torch.randn(3, 5), "b": torch.randn(7).bfloat16(), "c": torch.zeros(0, 4)}
    save_file(wrote, tmp_path / "some.safetensors")
    tensors = Tensors(tmp_path / "some.safetensors")
    for name, tensor in wrote.items():
        assert tensors.shape(name) == tuple(tensor.shape)
        assert np.array_equal(tensors.float32(name), tensor.float().numpy())
    assert tensors["b"].dtype == ml_dtypes.bfloat16


def test_what_is_written_any_reader_reads(tmp_path: Path) -> None:
    values = {
        "bytes": np.arange(5, dtype=np.int8),
        "halves": np.arange(6, dtype=np.float32).astype(ml_dtypes.bfloat16).reshape(2, 3),
        "floats": np.arange(4, dtype=np.float32),
        "none": np.zeros((0, 3), np.int8),
    }
    planned = [Planned(n, v.dtype, v.shape, lambda v=v: v) for n, v in values.items()]  # type: ignore[misc]
    with (tmp_path / "some.safetensors").open("wb") as file:
        steps = list(write_tensors(file, planned, {"made": "here"}))
    assert steps[-1] == (33, 33)
    with safe_open(tmp_path / "some.safetensors", "pt") as read:  # type: ignore[no-untyped-call]
        assert read.metadata() == {"made": "here"}
        for name, value in values.items():
            assert np.array_equal(read.get_tensor(name).float().numpy(), value.astype(np.float32))
    ours = Tensors(tmp_path / "some.safetensors")
    assert all(entry.offset % entry.dtype.itemsize == 0 for entry in ours.entries.values())


def test_values_that_are_not_as_planned_are_refused(tmp_path: Path) -> None:
    planned = [Planned("a", np.dtype(np.float32), (2,), lambda: np.zeros(3, np.float32))]
    with (tmp_path / "some.safetensors").open("wb") as file, pytest.raises(ValueError, match=r"a came out as"):
        list(write_tensors(file, planned, {}))


@pytest.mark.parametrize("content", [b"", b"short", b"<html>not found, and long enough</html>", b"\xff" * 64])
def test_a_file_that_is_no_such_thing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="is not a safetensors file"):
        Tensors(tmp_path / "x.safetensors")


def test_a_file_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="a does not fit the file"):
        Tensors(path)
