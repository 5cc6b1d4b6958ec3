"""What a result was measured on: the machine and the versions that matter, nothing that names it or its owner."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["gpu_power_w", "gpu_utilisation", "machine"]

_PACKAGES = (
    "captions",
    "jiwer",
    "moonshine-voice",
    "moshi",
    "numpy",
    "onnxruntime",
    "opuslib-next-bundled",
    "torch",
    "websockets",
)


def machine() -> dict[str, str]:
    """Processor, cores, memory, GPU, and versions."""
    about = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory_gb": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.0f}",
        "gpu": ", ".join(_nvidia("name")) or "none",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "load_at_start": f"{os.getloadavg()[0]:.2f}",
    }
    for package in _PACKAGES:
        try:
            about[package] = version(package)
        except PackageNotFoundError:
            continue
    return about


def gpu_utilisation() -> list[float]:
    """Percent of each NVIDIA GPU that is busy now; empty without one."""
    return [float(value) for value in _nvidia("utilization.gpu")]


def gpu_power_w() -> list[float]:
    """Watts that each NVIDIA GPU draws now; empty without one, or if it does not tell."""
    return [float(value) for value in _nvidia("power.draw") if value.replace(".", "", 1).isdigit()]


def _nvidia(field: str) -> list[str]:
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line.strip() for line in done.stdout.splitlines()] if done.returncode == 0 else []


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
