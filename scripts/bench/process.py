"""A measurement in a process of its own, and the memory that it needs above what the process held before."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def alone(function: Callable[..., Result], *arguments: Any) -> Result:
    """`function(*arguments)` in a fresh process, which prints nothing and ends afterwards; its exceptions come back."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_silence) as pool:
        return pool.submit(function, *arguments).result()


def _silence() -> None:
    """Libraries' progress bars and notices would tear the caller's own."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.dup2(nothing, sys.stderr.fileno())


@dataclass
class Memory:
    """Bytes above the start of the measurement, once it has ended."""

    peak: int = 0


@contextmanager
def measured(device: str) -> Iterator[Memory]:
    """The peak of what is held inside: resident memory of the process, or allocated memory of the GPU."""
    memory = Memory()
    read = _cuda(device) if device.startswith("cuda") else _resident()
    before = read()
    yield memory
    memory.peak = max(0, read() - before)


def _cuda(device: str) -> Callable[[], int]:
    torch.cuda.reset_peak_memory_stats(device)
    return lambda: torch.cuda.max_memory_allocated(device)


def _resident() -> Callable[[], int]:
    """Reads the highest resident size: since now where the system can forget the past (Linux), else since birth."""
    try:
        CLEAR.write_text("5")
        return lambda: 1024 * next(int(line.split()[1]) for line in STATUS.open() if line.startswith("VmHWM"))
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return lambda: unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
