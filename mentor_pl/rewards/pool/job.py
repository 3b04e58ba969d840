"""An item on its way through the pool, and the dispatcher's end of a worker that holds one."""

from __future__ import annotations

import contextlib
import enum
import json
import socket
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from mentor_pl.rewards.pool.fork_server import WorkerError
from mentor_pl.rewards.pool.worker import FRAME_HEADER


class Failure(enum.Enum):
    """Why an item has no result."""

    TIMEOUT = "timeout"
    CRASH = "crash"


@dataclass(eq=False)
class Job:
    """An item, and the future of its result."""

    frame: bytes
    future: Future[Any]
    tries: int = 0  # workers that it was given to


@dataclass(eq=False)
class Worker:
    """A worker, its non-blocking socket, and what it is at."""

    pid: int
    channel: socket.socket
    job: Job | None = None
    unsent: bytes = b""
    received: bytearray = field(default_factory=bytearray)
    started: float = 0.0  # clock when the job was handed over
    spent: float = 0.0  # processor seconds of the worker at that time
    deadline: float = 0.0  # clock when it is worth looking at the time spent

    def write(self) -> None:
        """Send as much of the job as the socket takes."""
        with contextlib.suppress(OSError):  # a dead worker shows as end of file when read
            self.unsent = self.unsent[self.channel.send(self.unsent) :]

    def read(self) -> Any:
        """Take what the worker has written: the task's result once it is complete, until then `self`.

        Where the task failed the result is a `WorkerError`.

        Raises:
            EOFError: it is gone, or writes what no worker does.
        """
        try:
            data = self.channel.recv(1 << 16)
        except BlockingIOError:
            return self
        except OSError:
            raise EOFError from None
        if not data:
            raise EOFError
        self.received += data
        size = FRAME_HEADER + int.from_bytes(self.received[:FRAME_HEADER], "big")
        if len(self.received) < max(size, FRAME_HEADER):
            return self
        frame = bytes(self.received[FRAME_HEADER:size])
        self.received.clear()
        try:
            answer = json.loads(frame)
            failed = "error" in answer
            return WorkerError(f"the grading task failed: {answer['error']}") if failed else answer["result"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise EOFError from None
