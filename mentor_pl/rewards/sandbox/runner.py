"""Runs one piece of untrusted Python in limited processes of its own (`child.py`), for at most so many seconds of
processor time.

Each run has a new session, an empty environment, a temporary folder that is removed afterwards, bounded memory, time,
files and output. Landlock, a seccomp filter and namespaces keep it from other files, the network and other processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mentor_pl.rewards.deadline import session_seconds, time_left

_CHILD = Path(__file__).with_name("child.py")
_PROBE_SECONDS = 30.0
_MIN_WAIT = 0.05  # seconds between two looks at the processor time, for which all of /proc is read
_REMOVAL_SECONDS = 30.0  # what is left of a folder after them stays


@dataclass(frozen=True)
class Limits:
    """What one run may take.

    Attributes:
        memory_mb: address space of each process, in MiB.
        file_mb: size of each file it writes, standard output among them, in MiB.
    """

    memory_mb: int = 512
    file_mb: int = 8


@dataclass(frozen=True)
class Execution:
    """What came of one run.

    Attributes:
        finished: the code, and every test, ran to its end; a program with status 0.
        passed: which tests passed; empty unless finished.
        output: what it printed.
        timeout: it was ended because its time was up.
        seconds: of processor time that it took; all that it had where it was ended.
    """

    finished: bool
    passed: Sequence[bool]
    output: str
    timeout: bool
    seconds: float


def execute(
    code: str, tests: Sequence[str], stdin: str, seconds: float, limits: Limits, required: bool = True
) -> Execution:
    """Run `code`, then each of `tests` on its names; without tests `code` is the main program.

    `seconds` of processor time are for all of its processes together; by the clock it may take `LAST_RESORT` more.
    With `required`, nothing is run where something of `missing_isolation` is.
    """
    request = {
        "code": code, "tested": bool(tests), "seconds": seconds, "required": required, "probe": False,
        "namespaces": _surroundings()[0],
    }  # fmt: skip
    done = _child(request | asdict(limits), list(tests), stdin, seconds)
    passed: Any = []
    with contextlib.suppress(ValueError, RecursionError):
        passed = json.loads(done.verdict) if tests else []
    right = done.status == 0 and isinstance(passed, list) and len(passed) == len(tests)
    # The limit of a process's own, in whole seconds, may come before this side looks.
    timeout = done.seconds is None or (not right and done.seconds >= seconds)
    took = seconds if done.seconds is None else done.seconds
    return Execution(right, [one is True for one in passed] if right else [], done.output, timeout, took)


def missing_isolation() -> tuple[str, ...]:
    """What this system does not let a run be kept from: `files`, `network and Unix sockets`, `other processes`."""
    return _surroundings()[1]


@cache
def _surroundings() -> tuple[bool, tuple[str, ...]]:
    """Whether a run has namespaces, and what it is not kept from.

    A process that is refused halfway into them is fit for nothing (Ubuntu grants user namespaces without any rights in
    them), so this is found out by runs of no code.
    """
    for alone in (True, False):
        probe = {"code": "", "seconds": _PROBE_SECONDS, "required": False, "probe": True, "namespaces": alone}
        done = _child(probe | asdict(Limits()), [], "", _PROBE_SECONDS)
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found = json.loads(done.verdict)
            if found["namespaces"] is alone:
                return alone, tuple(map(str, found["missing"]))
    return False, ("files", "network and Unix sockets", "other processes")


@contextlib.contextmanager
def _scratch_folder() -> Iterator[str]:
    """A temporary folder. What may be in it, a thousand folders in one another too, is left to `rm` to remove."""
    path = tempfile.mkdtemp(prefix="mentor-code-")
    try:
        yield path
    finally:
        try:
            os.rmdir(path)
        except OSError:
            remove = ["rm", "-rf", "--", path]
            with contextlib.suppress(subprocess.TimeoutExpired):
                for command in (remove, ["chmod", "-R", "u+rwx", "--", path], remove):
                    subprocess.run(command, stderr=subprocess.DEVNULL, check=False, timeout=_REMOVAL_SECONDS)
                    if not os.path.lexists(path):
                        break


@dataclass(frozen=True)
class _Done:
    """What a run left: no seconds of processor time where its time was up."""

    status: int
    verdict: bytes
    output: str
    seconds: float | None


def _child(request: dict[str, Any], tests: list[str], stdin: str, seconds: float) -> _Done:
    # Plain files, not pipes: their size is limited, and nobody has to read while the code runs.
    with (
        _scratch_folder() as folder,
        tempfile.TemporaryFile() as asked,
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as verdict,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as usage,
    ):
        for part in (request | {"parent": os.getpid()}, tests):
            body = json.dumps(part).encode()
            asked.write(len(body).to_bytes(4, "big") + body)
        given.write(stdin.encode(errors="replace"))
        for file in (asked, given):
            file.seek(0)
        descriptors = [file.fileno() for file in (asked, verdict, usage)]
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-X", "utf8", str(_CHILD), *map(str, descriptors)],
            stdin=given,
            stdout=output,
            stderr=subprocess.DEVNULL,
            pass_fds=descriptors,
            cwd=folder,
            env={},
            start_new_session=True,
        )
        try:
            in_time = _ended_in_time(process, seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for file in (verdict, output, usage):
            file.seek(0)
        spent = float(usage.read() or seconds) if in_time else None
        said = output.read(1 << 24).decode(errors="replace")
        return _Done(process.returncode, verdict.read(1 << 20), said, spent)


def _ended_in_time(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for the end; False where the time was up before."""
    began, left = time.monotonic(), seconds
    while True:
        try:
            process.wait(left)
            return True
        except subprocess.TimeoutExpired:
            left = time_left(seconds, session_seconds(process.pid), time.monotonic() - began)
            if left <= 0:
                return False
            left = max(left, _MIN_WAIT)
