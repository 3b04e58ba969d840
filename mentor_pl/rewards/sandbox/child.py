"""The process side of the code reward: a program for `python -I -S`, of the standard library alone.

    first     takes limits and namespaces, forks the second and passes its status on
    second    the first process of its PID namespace, where there is one, so that nothing outlives it; gives up files,
              system calls and rights; forks the third, waits for it, and runs the tests against it
    third     runs the response's code and serves its names to the tests

The file of the request holds the code and, behind it, the tests: they are read when the third is there and has closed
the file. It holds no descriptor but its input, its output and the socket to the tests. The first writes, to a file that
the others do not hold, the seconds of processor time that they took. Without tests the exit status is the verdict.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import json
import os
import resource
import signal
import socket
import sys
import types
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))  # not seen by -I, and taken away again for the code

from mentor_pl.rewards.sandbox import landlock, namespaces, seccomp
from mentor_pl.rewards.sandbox.judge import run_tests, serve_names

sys.path.pop(0)

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PROCESSES = 32
_OPEN_FILES = 64
_FULL_FILES = 8  # that the folder can hold, where it is one of its own


def main() -> None:
    """Run what the request asks for."""
    request_file, verdict, usage = map(int, sys.argv[1:])
    request = _part(request_file)
    _die_with(request["parent"])
    own, folder = os.getpid(), os.getcwd()
    alone = request["namespaces"] and namespaces.enter(folder, _FULL_FILES * request["file_mb"])
    _limit(request)
    if (second := os.fork()) == 0:
        os.close(usage)
        _die_with(own)
        _second(request, request_file, verdict, alone, own)
        return  # the third, which has run the code and ends as Python does
    status = _ended(second)
    spent = os.times()
    os.write(usage, str(spent.children_user + spent.children_system).encode())
    os._exit(status)


def _second(request: dict[str, Any], request_file: int, verdict: int, alone: bool, run: int) -> None:
    lacking = _confine(request, alone, run)
    if request["probe"]:
        os.write(verdict, json.dumps({"namespaces": alone, "missing": lacking}).encode())
        os._exit(0)
    if alone != request["namespaces"] or (lacking and request["required"]):  # it was otherwise a moment ago
        os._exit(1)
    judged, told = socket.socketpair()
    own = os.getpid()
    if (third := os.fork()) == 0:
        for descriptor in (request_file, verdict, judged.detach()):
            os.close(descriptor)
        _die_with(own)
        if "files" not in lacking:
            landlock.restrict([request["folder"], "/dev/shm"])  # once more, so that the second is outside
        _run(request, told)
        return
    told.close()
    tests = _part(request_file)
    if tests:
        passed = run_tests(judged, request["code"], tests)
        judged.close()
        if passed is not None:
            os.write(verdict, json.dumps(passed).encode())
        os._exit(0 if passed is not None else 1)
    judged.close()
    os._exit(_ended(third))


def _confine(request: dict[str, Any], alone: bool, run: int) -> list[str]:
    """Give up what code has no use for; what could not be given up."""
    request["folder"] = os.getcwd()
    if not sys.platform.startswith("linux"):
        return ["files", "network and Unix sockets", "other processes"]
    if alone:
        namespaces.mount_proc()
    rights = namespaces.give_up_rights(run)
    files = landlock.restrict([request["folder"], *(["/dev/shm"] if alone else [])])
    calls = seccomp.restrict(alone)
    return [
        *([] if files else ["files"]),
        *([] if calls else ["network and Unix sockets"]),
        *([] if rights and (alone or landlock.version() >= landlock.SIGNALS) else ["other processes"]),
    ]


def _die_with(parent: int) -> None:
    """End when the parent does (Linux)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() not in (parent, 0):  # 0: the parent is outside of the PID namespace
            os._exit(1)


def _limit(request: dict[str, Any]) -> None:
    # A second and more beyond what it may take: whom this ends has, by any measure, had its time.
    seconds = int(request["seconds"]) + 2
    for kind, amount in (
        (resource.RLIMIT_AS, request["memory_mb"] << 20),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, request["file_mb"] << 20),
        (resource.RLIMIT_NPROC, _PROCESSES),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (amount, amount))


def _run(request: dict[str, Any], told: socket.socket) -> None:
    """The third process: run the code, and serve its names to tests."""
    own, leave = os.getpid(), os._exit

    def leave_with_output(status: int) -> None:
        if os.getpid() == own:
            sys.stdout.flush()
        leave(status)

    os._exit = leave_with_output  # type: ignore[assignment]
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # `site` makes them, which -S leaves out
    module = types.ModuleType("solution" if request["tested"] else "__main__")
    sys.modules[module.__name__] = module
    vars(module)["__builtins__"] = builtins
    sys.argv = ["solution.py"]
    hidden = set(vars(module))
    if not request["tested"]:
        told.close()
    exec(compile(request["code"], "solution.py", "exec"), vars(module))
    if request["tested"]:
        serve_names(told, {name: value for name, value in vars(module).items() if name not in hidden})


def _ended(pid: int) -> int:
    """Wait for a child; its exit status. Whatever else the code has started does not keep this process."""
    _, status = os.waitpid(pid, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1


def _part(file: int) -> Any:
    """The next part of the request."""
    return json.loads(_exactly(file, int.from_bytes(_exactly(file, 4), "big")))


def _exactly(file: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = os.read(file, size - len(data))
        if not chunk:
            os._exit(1)
        data += chunk
    return data


if __name__ == "__main__":
    main()
