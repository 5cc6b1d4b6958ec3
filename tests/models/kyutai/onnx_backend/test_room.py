from __future__ import annotations

from pathlib import Path

from captions.models.kyutai.onnx_backend.room import free_bytes

MEMINFO = "MemTotal:       24684212 kB\nMemFree:          123456 kB\nMemAvailable:    2000000 kB\n"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_a_machine_without_a_limit_has_what_is_available(tmp_path: Path) -> None:
    folder = write(tmp_path, meminfo=MEMINFO, memory_max="max\n", memory_stat="anon 500000\nfile 900000\n")
    assert free_bytes(folder / "meminfo", folder) == 2_000_000 * 1024


def test_a_container_has_its_limit_less_what_is_held(tmp_path: Path) -> None:
    folder = write(tmp_path, meminfo=MEMINFO, memory_max="1000000000\n", memory_stat="anon 400000000\nfile 9000\n")
    assert free_bytes(folder / "meminfo", folder) == 600_000_000
    write(tmp_path, memory_max="300000000\n")
    assert free_bytes(folder / "meminfo", folder) == 0


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "meminfo", tmp_path) is None


def test_this_machine_tells() -> None:
    assert (free_bytes() or 0) > 1 << 20
