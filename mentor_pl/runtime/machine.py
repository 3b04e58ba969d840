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


def host_memory() -> int:
    """Bytes of memory that are free, by the system and by the container's limit; 0 where neither tells."""
    found = []
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        found.append(1024 * int(lines["MemAvailable"].split()[0]))
        limit, used = (Path("/sys/fs/cgroup", name).read_text().strip() for name in ("memory.max", "memory.current"))
        found += [int(limit) - int(used)] if limit.isdecimal() else []
    except (OSError, KeyError, ValueError):
        pass  # another system, or no container
    return min(found, default=0)


def resident() -> int:
    """Bytes that this process, which has imported what a run imports, holds; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def _values(file: str, key: str) -> list[str]:
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key]
