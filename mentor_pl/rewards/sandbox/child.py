"""The process side of the code reward: a program for `python -I -S`, of the standard library alone.

    first     takes limits and namespaces, forks the second and passes its status on
    second    waits; the first process of its PID namespace, where there is one, so that nothing outlives it
    third     runs the response's code, then the tests one by one, and writes the verdict

The first also writes, to a file that the others do not hold, the seconds of processor time that they took.

Standard input holds a length, a JSON request and a nonce. The nonce stays unread until the last test has run, and
only a verdict that begins with it counts, so code that ends the process or writes of its own accord earns nothing.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any

_NEW_USER, _NEW_NET, _NEW_PID, _NEW_IPC = 0x10000000, 0x40000000, 0x20000000, 0x08000000  # linux/sched.h
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PROCESSES = 32
_FILES = 64


def main() -> None:
    """Run what standard input asks for; the exit status is the third process's."""
    verdict, usage = map(int, sys.argv[1:])
    size = int.from_bytes(_exactly(4), "big")
    request = json.loads(_exactly(size))
    _die_with(request["parent"])
    isolated = isolate()
    if request.get("probe"):
        os.write(verdict, b"isolated" if isolated else b"")
        os._exit(0)
    _confine(request)
    own = os.getpid()
    if (second := os.fork()) == 0:
        os.close(usage)
        _die_with(0 if isolated else own)  # in a PID namespace of its own the parent has no number
        own = os.getpid()
        if (third := os.fork()) == 0:
            _die_with(own)
            _run(request, verdict)
        os._exit(_ended(third))
    status = _ended(second)
    spent = os.times()
    os.write(usage, str(spent.children_user + spent.children_system).encode())
    os._exit(status)


def isolate() -> bool:
    """Leave the network and the other processes behind, where the system allows it."""
    unshare = getattr(ctypes.CDLL(None), "unshare", None)
    rest = _NEW_NET | _NEW_PID | _NEW_IPC
    return unshare is not None and (unshare(_NEW_USER | rest) == 0 or unshare(rest) == 0)


def _die_with(parent: int) -> None:
    """End when the parent does (Linux)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def _confine(request: dict[str, Any]) -> None:
    seconds = int(request["seconds"]) + 1
    for kind, amount in (
        (resource.RLIMIT_AS, request["memory_mb"] << 20),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, request["file_mb"] << 20),
        (resource.RLIMIT_NPROC, _PROCESSES),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (amount, amount))


def _run(request: dict[str, Any], verdict: int) -> None:
    """The third process: never returns."""
    nonce = os.dup(0)
    handle = os.open("stdin", os.O_RDWR | os.O_CREAT)
    os.write(handle, request["stdin"].encode())
    os.lseek(handle, 0, os.SEEK_SET)
    os.unlink("stdin")
    os.dup2(handle, 0)
    os.close(handle)
    tests, original = request["tests"], dict(vars(builtins))
    space = {"__name__": "solution" if tests else "__main__", "__builtins__": builtins}
    passed: list[bool] = []
    status = 0
    try:
        exec(compile(request["code"], "solution.py", "exec"), space)
        for test in tests:
            vars(builtins).update(original)
            try:
                exec(compile(test, "test.py", "exec"), space)
                passed.append(True)
            except Exception:
                passed.append(False)
    except SystemExit as end:
        status = 1 if tests or end.code not in (None, 0) else 0
    except BaseException:
        status = 1
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
    if status == 0:
        os.write(verdict, os.read(nonce, 64) + json.dumps(passed).encode())
    os._exit(status)


def _ended(pid: int) -> int:
    """Wait for a child; its exit status. Whatever else the code has started does not keep this process."""
    _, status = os.waitpid(pid, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1


def _exactly(size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = os.read(0, size - len(data))
        if not chunk:
            os._exit(1)
        data += chunk
    return data


if __name__ == "__main__":
    main()
