"""Runs one piece of untrusted Python in limited processes of its own (`child.py`), for at most so many seconds.

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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_CHILD = Path(__file__).with_name("child.py")
_PROBE_SECONDS = 30.0
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
    """

    finished: bool
    passed: Sequence[bool]
    output: str
    timeout: bool


def run(code: str, tests: Sequence[str], stdin: str, seconds: float, limits: Limits) -> Execution:
    """Run `code`, then each of `tests` in its name space; without tests `code` is the main program."""
    nonce = secrets.token_hex(32).encode()
    request = {
        "code": code, "tests": list(tests), "stdin": stdin, "seconds": seconds,
        "memory_mb": limits.memory_mb, "file_mb": limits.file_mb,
    }  # fmt: skip
    verdict, output, timeout = _child(request, nonce, seconds)
    finished = verdict.startswith(nonce)
    passed: Any = []
    if finished:
        with contextlib.suppress(ValueError, RecursionError):
            passed = json.loads(verdict[len(nonce) :])
    right = isinstance(passed, list) and len(passed) == len(tests)
    return Execution(finished and right, [one is True for one in passed] if right else [], output, timeout)


@cache
def isolated() -> bool:
    """Whether this system lets a run have no network and see no other processes (Linux with namespaces)."""
    return _child({"probe": True}, b"", _PROBE_SECONDS)[0] == b"isolated"


@contextlib.contextmanager
def _folder() -> Iterator[str]:
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


def _child(request: dict[str, Any], nonce: bytes, seconds: float) -> tuple[bytes, str, bool]:
    """(verdict, standard output, whether its time was up) of one run."""
    body = json.dumps(request | {"parent": os.getpid()}).encode()
    timeout = False
    # Plain files, not pipes: their size is limited, and nobody has to read while the code runs.
    with (
        _folder() as folder,
        tempfile.TemporaryFile() as verdict,
        tempfile.TemporaryFile() as output,
    ):
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-X", "utf8", str(_CHILD), str(verdict.fileno())],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.DEVNULL,
            pass_fds=[verdict.fileno()],
            cwd=folder,
            env={},
            start_new_session=True,
        )
        try:
            with contextlib.suppress(BrokenPipeError):
                process.communicate(len(body).to_bytes(4, "big") + body + nonce, timeout=seconds)
        except subprocess.TimeoutExpired:
            timeout = True
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
        verdict.seek(0)
        output.seek(0)
        return verdict.read(1 << 20), output.read(1 << 24).decode(errors="replace"), timeout
