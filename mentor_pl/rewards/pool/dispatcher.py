"""The thread that feeds the workers: one item per worker at a time, deadlines, replacement, futures."""

from __future__ import annotations

import contextlib
import enum
import json
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from mentor_pl.rewards.deadline import processor_seconds, time_left
from mentor_pl.rewards.pool.fork_server import ForkServer, WorkerError
from mentor_pl.rewards.pool.worker import FRAME_HEADER, encode

_GRANULARITY = 0.02  # seconds: processor time is told in hundredths of one
TRIES = 2  # an item is given to this many workers that die under it
MAX_CONSECUTIVE_CRASHES = 8  # items in a row that ended all their workers: the fault is not theirs


class Failure(enum.Enum):
    """Why an item has no result."""

    TIMEOUT = "timeout"
    CRASH = "crash"


TIMEOUT = Failure.TIMEOUT
CRASH = Failure.CRASH


@dataclass
class _Job:
    frame: bytes
    future: Future[Any]
    tries: int = 0


@dataclass
class _Worker:
    pid: int
    channel: socket.socket
    job: _Job | None = None
    unsent: bytes = b""
    received: bytearray = field(default_factory=bytearray)
    started: float = 0.0  # clock when the job was handed over
    spent: float = 0.0  # processor seconds of the worker at that time
    deadline: float = 0.0  # clock when it is worth looking at the time spent


class Dispatcher:
    """Owns the fork_server, the workers and the queue; everything but the queue belongs to its thread."""

    def __init__(
        self,
        task: str,
        workers: int,
        timeout: float,
        memory_mb: int,
        warmup: Sequence[Any],
        counts: dict[Failure, int],
    ) -> None:
        self._fork_server_settings = (task, warmup, memory_mb)
        self._size = workers
        self._timeout = timeout
        self._counts = counts
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._queue: deque[_Job] = deque()
        self._stopped = False
        self._crashes_in_row = 0
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._waker, self._wakened = socket.socketpair()
        self._wakened.setblocking(False)
        self._selector.register(self._wakened, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="grading-workers", daemon=True)
        self._thread.start()

    @property
    def usable(self) -> bool:
        """False once stopped or failed, and in a process forked from the one that built it."""
        return not self._stopped and self._owner == os.getpid()

    def submit(self, item: Any) -> Future[Any]:
        """Queue one item."""
        job = _Job(encode(item), Future())
        with self._lock:
            if self._stopped:
                job.future.set_exception(WorkerError("the grading workers have been closed"))
                return job.future
            self._queue.append(job)
        self._wake()
        return job.future

    def stop(self) -> None:
        """End thread and workers."""
        if self._owner != os.getpid():
            return
        self._stopped = True
        self._wake()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # closed: the thread has ended
            self._waker.send(b"\0", socket.MSG_DONTWAIT)

    def _run(self) -> None:
        """Serve until stopped; whatever ends the loop, no future is left waiting."""
        reason = WorkerError("the grading workers have been closed")
        fork_server: ForkServer | None = None
        try:
            fork_server = ForkServer(*self._fork_server_settings)
            while not self._stopped:
                self._hand_out(fork_server)
                for key, events in self._selector.select(self._patience()):
                    self._advance(fork_server, key.data, events)
                self._end_overdue(fork_server)
        except WorkerError as error:
            reason = error
        except Exception as error:
            reason = WorkerError(f"the grading pool failed: {type(error).__name__}: {error}")
        finally:
            self._fail_all(reason)
            if fork_server is not None:
                fork_server.close()
            for worker in self._workers:
                worker.channel.close()
            self._selector.close()
            self._waker.close()
            self._wakened.close()

    def _fail_all(self, reason: WorkerError) -> None:
        with self._lock:
            self._stopped = True
            waiting = [job for worker in self._workers if (job := worker.job)] + list(self._queue)
            self._queue.clear()
        for job in waiting:
            if not job.future.cancelled():
                job.future.set_exception(reason)

    def _hand_out(self, fork_server: ForkServer) -> None:
        """Give every idle worker an item; workers are forked as items ask for them."""
        while True:
            idle = next((worker for worker in self._workers if worker.job is None), None)
            if idle is None and len(self._workers) >= self._size:
                return
            with self._lock:
                job = self._queue.popleft() if self._queue else None
            if job is None:
                return
            if job.tries == 0 and not job.future.set_running_or_notify_cancel():
                continue
            worker = idle or self._fork(fork_server)
            worker.job, worker.unsent = job, job.frame
            worker.started, worker.spent = time.monotonic(), processor_seconds(worker.pid)
            worker.deadline = worker.started + self._timeout
            self._send(worker)

    def _fork(self, fork_server: ForkServer) -> _Worker:
        worker = _Worker(*fork_server.fork())
        self._workers.append(worker)
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)
        return worker

    def _patience(self) -> float | None:
        """Seconds until the next deadline."""
        deadlines = [worker.deadline for worker in self._workers if worker.job is not None]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _advance(self, fork_server: ForkServer, worker: _Worker | None, events: int) -> None:
        """Move one worker's bytes."""
        if worker is None:
            with contextlib.suppress(BlockingIOError):
                while self._wakened.recv(4096):
                    pass
            return
        if events & selectors.EVENT_WRITE:
            self._send(worker)
        if events & selectors.EVENT_READ and not self._receive(worker):
            self._reap(fork_server, worker)

    def _send(self, worker: _Worker) -> None:
        with contextlib.suppress(OSError):  # a dead worker shows as end of file when read
            worker.unsent = worker.unsent[worker.channel.send(worker.unsent) :]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.unsent else 0)
        self._selector.modify(worker.channel, wanted, worker)

    def _receive(self, worker: _Worker) -> bool:
        """Take what the worker has written; False where it is gone."""
        try:
            data = worker.channel.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        worker.received += data
        if len(worker.received) >= FRAME_HEADER:
            size = FRAME_HEADER + int.from_bytes(worker.received[:FRAME_HEADER], "big")
            if len(worker.received) >= size:
                answer = json.loads(worker.received[FRAME_HEADER:size])
                worker.received.clear()
                self._settle(worker, answer)
        return True

    def _settle(self, worker: _Worker, answer: dict[str, Any]) -> None:
        job, worker.job = worker.job, None
        self._crashes_in_row = 0
        if job is None:
            return
        if "error" in answer:
            job.future.set_exception(WorkerError(f"the grading task failed: {answer['error']}"))
        else:
            job.future.set_result(answer["result"])

    def _reap(self, fork_server: ForkServer, worker: _Worker) -> None:
        """Reap a worker that died by itself; its item is tried once more, then given up."""
        job = self._discard(fork_server, worker)
        if job is None:
            return
        job.tries += 1
        if job.tries < TRIES:
            with self._lock:
                self._queue.appendleft(job)
            return
        self._counts[CRASH] += 1
        self._crashes_in_row += 1
        job.future.set_result(CRASH)
        if self._crashes_in_row >= MAX_CONSECUTIVE_CRASHES:
            raise WorkerError(
                f"{MAX_CONSECUTIVE_CRASHES} items in a row each ended {TRIES} workers: the grading task cannot run here"
            )

    def _end_overdue(self, fork_server: ForkServer) -> None:
        """Kill every worker whose time is up; one that the machine kept from running gets the rest of its time."""
        now = time.monotonic()
        for worker in [w for w in self._workers if w.job is not None and w.deadline <= now]:
            left = time_left(self._timeout, processor_seconds(worker.pid) - worker.spent, now - worker.started)
            if left > 0:
                worker.deadline = now + max(left, _GRANULARITY)
                continue
            job = self._discard(fork_server, worker)
            self._counts[TIMEOUT] += 1
            if job is not None:
                job.future.set_result(TIMEOUT)

    def _discard(self, fork_server: ForkServer, worker: _Worker) -> _Job | None:
        """Take a worker out, dead or alive, and return the item it held."""
        self._selector.unregister(worker.channel)
        worker.channel.close()
        self._workers.remove(worker)
        job, worker.job = worker.job, None
        try:
            fork_server.end(worker.pid)
        except WorkerError:
            if job is not None:  # no worker holds it any more: it fails with the others
                self._workers.append(_Worker(worker.pid, worker.channel, job))
            raise
        return job
