"""The parent's handle on the fork_server process: start it, ask it for workers, let it end them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from mentor_pl.rewards.deadline import is_stopped
from mentor_pl.rewards.pool.worker import encode, receive

# An explicit program instead of multiprocessing's spawn: that one re-imports the parent's __main__ in every child.
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from mentor_pl.rewards.pool.worker import fork_server; fork_server(int(sys.argv[1]))"
)
# By the clock, and long: starting takes seconds and a fork milliseconds, but a busy machine may need minutes. A fork
# server that ends or is stopped is seen at once; only one that hangs is waited for.
_SILENCE_SECONDS = 300.0
_LOOK_SECONDS = 0.2  # between two looks at one that has not answered yet
_LAST_SECONDS = 5.0


class WorkerError(RuntimeError):
    """The pool cannot work: its processes do not start or do not live, or every item ends them."""


class ServerLost(WorkerError):
    """The fork_server was killed, stopped or fell silent, or the system could not start it: another may do its work."""


class ForkRefused(WorkerError):
    """The system forks no further worker; it may do so later."""


class ForkServer:
    """A warm process that forks workers.

    Args:
        task: `module:function` that grades one item; imported in the fork_server, never here.
        warmup: items to run before the first fork.
        memory_mb: address space of one worker, in MiB.
        wanted: asked while waiting for an answer; once it is false nothing is waited for any more.

    Raises:
        ServerLost: it was ended by a signal, stopped or silent before it was ready, or could not be started; so do
            `fork` and `end`.
        WorkerError: it ended by itself, as where the task cannot be imported; the message carries its last line.
    """

    def __init__(
        self, task: str, warmup: Sequence[Any], memory_mb: int, wanted: Callable[[], bool] = lambda: True
    ) -> None:
        self._wanted = wanted
        settings = {"task": task, "warmup": list(warmup), "memory_mb": memory_mb, "parent": os.getpid()}
        with contextlib.ExitStack() as on_failure:
            try:
                self._start(on_failure)
                self._ask(settings)
                receive(self._control)
            except (EOFError, OSError, ServerLost) as error:
                reason = self._last_line(error)
                itself = isinstance(error, EOFError | ConnectionError) and self._process.returncode >= 0
                kind = WorkerError if itself else ServerLost
                raise kind(f"grading workers did not start for {task}: {reason}") from None
            on_failure.pop_all()

    def _start(self, on_failure: contextlib.ExitStack) -> None:
        self._control, theirs = socket.socketpair()
        on_failure.callback(self._control.close)
        with theirs:
            self._stderr = on_failure.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - lives as long as the process
            path = json.dumps([entry or os.getcwd() for entry in sys.path])
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-c", _PROGRAM, str(theirs.fileno()), path],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                env=_environment(),
            )
            on_failure.callback(self.close)

    def fork(self) -> tuple[int, socket.socket]:
        """A fresh worker: its process id and a non-blocking socket to it.

        Raises:
            ForkRefused: the system has no process or memory left for it.
        """
        try:
            self._ask({"fork": True})
            message, handles, _, _ = socket.recv_fds(self._control, 4096, 1)
            answer = json.loads(message[4:]) if message else {}
            if not handles and "refused" not in answer:
                raise EOFError
        except (EOFError, OSError, ServerLost) as error:
            raise ServerLost(f"no further grading worker could be started: {self._last_line(error)}") from None
        if not handles:
            raise ForkRefused(f"no further grading worker could be started: {answer['refused']}")
        channel = socket.socket(fileno=handles[0])
        channel.setblocking(False)
        return int(answer["pid"]), channel

    def end(self, pid: int) -> int:
        """Kill worker `pid`, wait for it and return its wait status."""
        try:
            self._ask({"end": pid})
            return int(receive(self._control)["status"])
        except (EOFError, OSError, ServerLost) as error:
            raise ServerLost(f"a grading worker could not be ended: {self._last_line(error)}") from None

    def close(self) -> None:
        """End the fork_server, stopped or not, and with it every worker."""
        self._control.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._stderr.close()

    def _ask(self, request: dict[str, Any]) -> None:
        """Send a request and wait until the answer begins."""
        self._control.settimeout(_SILENCE_SECONDS)
        self._control.sendall(encode(request))
        self._control.settimeout(_LOOK_SECONDS)
        last = time.monotonic() + _SILENCE_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                self._control.recv(1, socket.MSG_PEEK)
                break
            if not self._wanted():
                raise ServerLost("it was closed")
            if is_stopped(self._process.pid):
                raise ServerLost("it was stopped by a signal")
            if time.monotonic() > last:
                raise TimeoutError
        self._control.settimeout(_SILENCE_SECONDS)

    def _last_line(self, error: BaseException) -> str:
        """Why the fork_server gives no answer, in one line."""
        if isinstance(error, TimeoutError):
            return "it stayed silent too long"
        if not isinstance(error, EOFError | ConnectionError):
            return str(error)
        if self._process.poll() is None:  # a moment to write its last line; then it must not keep anyone waiting
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_LAST_SECONDS)
            self._process.kill()
        self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with status {self._process.returncode}"


def _environment() -> dict[str, str]:
    """What workers see of the environment: no credentials, and one hash seed, so that every worker orders alike."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return kept | {"PYTHONHASHSEED": "0", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}
