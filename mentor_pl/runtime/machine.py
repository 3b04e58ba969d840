"""What this machine is, as far as the system tells without a library that takes its time."""

from __future__ import annotations

import os
import platform
from glob import glob
from pathlib import Path

_CPU, _GPUS = "/proc/cpuinfo", "/proc/driver/nvidia/gpus/*/information"  # where Linux tells of them


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The processor's model."""
    return next(iter(_values(_CPU, "model name")), "") or platform.processor() or platform.machine()


def gpus() -> list[str]:
    """The models of NVIDIA's GPUs."""
    return [name for file in sorted(glob(_GPUS)) for name in _values(file, "Model")]


def described() -> str:
    """All of it in a line: `AMD EPYC, 2 cores`."""
    return ", ".join([processor(), f"{cores()} cores", *gpus()])


def _values(file: str, key: str) -> list[str]:
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key]
