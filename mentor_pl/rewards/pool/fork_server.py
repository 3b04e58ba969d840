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
from collections.abc import Sequence
from typing import Any

from mentor_pl.rewards.pool.worker import encode, receive

# An explicit program instead of multiprocessing's spawn: that one re-imports the parent's __main__ in every child.
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from mentor_pl.rewards.pool.worker import fork_server; fork_server(int(sys.argv[1]))"
)
# By the clock, and long: starting takes seconds and a fork milliseconds, but a busy machine may need minutes. A fork
# server that ends is seen at once; only one that hangs is waited for.
_SILENCE_SECONDS = 600.0
_LAST_SECONDS = 5.0


class WorkerError(RuntimeError):
    """The pool cannot work: its processes do not start, or every item ends them."""


class ForkServer:
    """A warm process that forks workers.

    Args:
        task: `module:function` that grades one item; imported in the fork_server, never here.
        warmup: items to run before the first fork.
        memory_mb: address space of one worker, in MiB.

    Raises:
        WorkerError: the fork_server ends or stays silent before it is ready; the message carries its last line.
    """

    def __init__(self, task: str, warmup: Sequence[Any], memory_mb: int) -> None:
        self._control, theirs = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        path = json.dumps([entry or os.getcwd() for entry in sys.path])
        self._process = subprocess.Popen(
            [sys.executable, "-s", "-P", "-c", _PROGRAM, str(theirs.fileno()), path],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
            env=_environment(),
        )
        theirs.close()
        settings = {"task": task, "warmup": list(warmup), "memory_mb": memory_mb, "parent": os.getpid()}
        try:
            self._control.settimeout(_SILENCE_SECONDS)
            self._control.sendall(encode(settings))
            receive(self._control)
        except (EOFError, OSError) as error:
            reason = self._last_line(error)
            self.close()
            raise WorkerError(f"grading workers did not start for {task}: {reason}") from None
        except BaseException:
            self.close()
            raise

    def fork(self) -> tuple[int, socket.socket]:
        """A fresh worker: its process id and a non-blocking socket to it."""
        try:
            self._control.sendall(encode({"fork": True}))
            message, handles, _, _ = socket.recv_fds(self._control, 4096, 1)
            if not handles:
                raise EOFError
        except (EOFError, OSError) as error:
            raise WorkerError(f"no further grading worker could be started: {self._last_line(error)}") from None
        channel = socket.socket(fileno=handles[0])
        channel.setblocking(False)
        return int(json.loads(message[4:])["pid"]), channel

    def end(self, pid: int) -> int:
        """Kill worker `pid`, wait for it and return its wait status."""
        try:
            self._control.sendall(encode({"end": pid}))
            return int(receive(self._control)["status"])
        except (EOFError, OSError) as error:
            raise WorkerError(f"a grading worker could not be ended: {self._last_line(error)}") from None

    def close(self) -> None:
        """End the fork_server and with it every worker."""
        self._control.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._stderr.close()

    def _last_line(self, error: BaseException) -> str:
        """Why the fork_server stopped, in one line."""
        if isinstance(error, TimeoutError):
            return "it stayed silent too long"
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
