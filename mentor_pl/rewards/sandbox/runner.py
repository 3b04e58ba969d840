"""Runs one piece of untrusted Python in limited processes of its own (`child.py`), for at most so many seconds of
processor time.

Each run has a new session, an empty environment, a temporary folder that is removed afterwards, bounded memory, time,
files and output, and, where the system allows it, no network and no sight of other processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
        finished: the code, and every test, ran to its end.
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


def execute(code: str, tests: Sequence[str], stdin: str, seconds: float, limits: Limits) -> Execution:
    """Run `code`, then each of `tests` in its name space; without tests `code` is the main program.

    `seconds` of processor time are for all of its processes together; by the clock it may take `LAST_RESORT` more.
    """
    nonce = secrets.token_hex(32).encode()
    request = {
        "code": code, "tests": list(tests), "stdin": stdin, "seconds": seconds,
        "memory_mb": limits.memory_mb, "file_mb": limits.file_mb,
    }  # fmt: skip
    verdict, output, spent = _child(request, nonce, seconds)
    finished = verdict.startswith(nonce)
    passed: Any = []
    if finished:
        with contextlib.suppress(ValueError, RecursionError):
            passed = json.loads(verdict[len(nonce) :])
    right = isinstance(passed, list) and len(passed) == len(tests)
    timeout = spent is None
    took = seconds if spent is None else spent
    return Execution(finished and right, [one is True for one in passed] if right else [], output, timeout, took)


@cache
def isolated() -> bool:
    """Whether this system lets a run have no network and see no other processes (Linux with namespaces)."""
    return _child({"probe": True}, b"", _PROBE_SECONDS)[0] == b"isolated"


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


def _child(request: dict[str, Any], nonce: bytes, seconds: float) -> tuple[bytes, str, float | None]:
    """(verdict, standard output, seconds of processor time) of one run; no seconds where its time was up."""
    body = json.dumps(request | {"parent": os.getpid()}).encode()
    # Plain files, not pipes: their size is limited, and nobody has to read while the code runs.
    with (
        _scratch_folder() as folder,
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as verdict,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as usage,
    ):
        given.write(len(body).to_bytes(4, "big") + body + nonce)
        given.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-X", "utf8", str(_CHILD), str(verdict.fileno()), str(usage.fileno())],
            stdin=given,
            stdout=output,
            stderr=subprocess.DEVNULL,
            pass_fds=[verdict.fileno(), usage.fileno()],
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
        return verdict.read(1 << 20), output.read(1 << 24).decode(errors="replace"), spent


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
