"""Measurements in processes of their own, and the memory that they need above what the process held before."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")
# What a fork server is told to import before it serves `streamed`.
PRELOADED = ["lightning.pytorch", "transformers.models.qwen2.modeling_qwen2", "mentor_pl.cli.main"]
_start = "forkserver"  # has imported the libraries once; unless that spoils CUDA for what is forked
# What a Trainer is told so that the work alone is measured.
QUIET: dict[str, Any] = {
    "max_epochs": 1,
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
}
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def alone(function: Callable[..., Result], *arguments: Any) -> Result:
    """`function(*arguments)` in a fresh process, which prints nothing and ends afterwards; its exceptions come back."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_silence) as pool:
        return pool.submit(function, *arguments).result()


def streamed(
    function: Callable[..., Iterable[Result]], seconds: float, log: Path | str, *arguments: Any
) -> Iterator[Result]:
    """What `function(*arguments)` yields, as soon as it does, from a process of its own that is killed afterwards.

    Args:
        function: of a module, not a lambda.
        seconds: after which it is killed.
        log: file to which all that it prints is added.

    Raises:
        RuntimeError: where it fails, or its process ends; in one line, the whole story is in the log.
        TimeoutError: where it has not ended in time.
    """
    global _start
    context = get_context(_start)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_stream, args=(theirs, str(log), function, arguments))
    process.start()
    theirs.close()
    end = time.monotonic() + seconds
    try:
        while (left := end - time.monotonic()) > 0 and ours.poll(left):
            try:
                kind, value = ours.recv()
            except EOFError:
                process.join(10)
                raise RuntimeError(f"its process ended with status {process.exitcode}") from None
            if kind == "failed":
                raise RuntimeError(value)
            if kind == "spoilt":
                _start = "spawn"
                yield from streamed(function, end - time.monotonic(), log, *arguments)
            if kind in ("done", "spoilt"):
                return
            yield value
        raise TimeoutError(f"it took longer than the {seconds:.0f} s that it had")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with whatever it has started
        process.kill()
        process.join()


def _stream(to: Connection, log: str, function: Callable[..., Iterable[Any]], arguments: tuple[Any, ...]) -> None:
    os.setsid()
    _silence(log)
    if torch.cuda._is_in_bad_fork():  # something that the fork server imports has looked for a GPU
        to.send(("spoilt", None))
        return
    try:
        for value in function(*arguments):
            to.send(("value", value))
        to.send(("done", None))
    except BaseException as problem:
        traceback.print_exc()
        sys.stderr.flush()
        to.send(("failed", in_one_line(problem)))


def in_one_line(problem: BaseException) -> str:
    """Kind and message of an exception, cut to what a table holds."""
    return f"{type(problem).__name__}: {' '.join(str(problem).split())}"[:300]


def _silence(log: str = os.devnull) -> None:
    """Libraries' progress bars and notices would tear the caller's own."""
    elsewhere = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(elsewhere, sys.stdout.fileno())
    os.dup2(elsewhere, sys.stderr.fileno())


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
    torch.cuda.init()  # before which the allocator knows no device
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
