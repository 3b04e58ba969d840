"""The thread that feeds the workers: one item per worker at a time, deadlines, replacement, futures.

A job is in the table of open jobs from `submit` until its future is resolved, and in no other place for good: queue and
workers only say what is being done about it. So whatever is lost of the processes, everything is given up and begun
again, and every job that is still in the table waits anew.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Any

from mentor_pl.rewards.deadline import is_stopped, processor_seconds, time_left
from mentor_pl.rewards.pool.fork_server import ForkRefused, ForkServer, ServerLost, WorkerError
from mentor_pl.rewards.pool.job import Failure, Job, Worker
from mentor_pl.rewards.pool.worker import encode

_GRANULARITY = 0.02  # seconds: processor time is told in hundredths of one
TRIES = 4  # workers that an item is given to; where all are lost under it, it is given up
MAX_CONSECUTIVE_CRASHES = 8  # items in a row that ended all their workers: the fault is not theirs
MAX_SETBACKS = 8  # times in a row, without an item done, that a fork server is lost or a first worker refused
_FIRST_PAUSE = 0.1  # seconds after the first setback, twice that after the next: 25 in all


class Dispatcher:
    """Owns the fork_server, the workers and the jobs; everything but the jobs belongs to its thread.

    Raises:
        WorkerError: where the system starts no thread.
    """

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
        self._lock = threading.Lock()  # of the two that follow
        self._open: dict[Job, None] = {}  # the table, in the order of submission
        self._waiting: deque[Job] = deque()
        self._stopped = False
        self._crashes_in_row = self._setbacks = 0
        self._not_before = 0.0  # clock before which no process is asked of the system again
        self._fork_server: ForkServer | None = None
        self._workers: list[Worker] = []
        self._thread = threading.Thread(target=self._run, name="grading-workers", daemon=True)
        with contextlib.ExitStack() as on_failure:
            try:
                self._selector = on_failure.enter_context(selectors.DefaultSelector())
                self._waker, self._wakened = map(on_failure.enter_context, socket.socketpair())
                self._wakened.setblocking(False)
                self._selector.register(self._wakened, selectors.EVENT_READ)
                self._thread.start()
            except (OSError, RuntimeError) as error:
                raise WorkerError(f"grading workers did not start for {task}: {error}") from None
            on_failure.pop_all()

    @property
    def usable(self) -> bool:
        """False once stopped or failed, and in a process forked from the one that built it."""
        return not self._stopped and self._owner == os.getpid()

    def submit(self, item: Any) -> Future[Any]:
        """Queue one item."""
        job = Job(encode(item), Future())
        with self._lock:
            if self._stopped:
                job.future.set_exception(WorkerError("the grading workers have been closed"))
                return job.future
            self._open[job] = None
            self._waiting.append(job)
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
        try:
            while not self._stopped:
                try:
                    self._serve()
                except ServerLost as error:
                    self._begin_again(error)
                except WorkerError:
                    raise
                except Exception as error:
                    self._begin_again(WorkerError(f"the grading pool failed: {type(error).__name__}: {error}"))
        except WorkerError as error:
            reason = error
        finally:
            with self._lock:
                self._stopped = True
            for job in list(self._open):
                self._resolve(job, reason)
            self._end_processes()
            self._selector.close()
            self._waker.close()
            self._wakened.close()

    def _serve(self) -> None:
        self._hand_out()
        for key, events in self._selector.select(self._patience()):
            self._advance(key.data, events)
        self._end_overdue()

    def _begin_again(self, error: WorkerError) -> None:
        """Give up every process; all that has no result waits again."""
        self._end_processes()
        with self._lock:
            self._waiting = deque(self._open)
        self._set_back(error)

    def _end_processes(self) -> None:
        for worker in self._workers:
            with contextlib.suppress(KeyError):
                self._selector.unregister(worker.channel)
            worker.channel.close()
        self._workers.clear()
        if self._fork_server is not None:
            self._fork_server.close()
            self._fork_server = None

    def _set_back(self, error: WorkerError) -> None:
        """Wait before anything is asked of the system again.

        Raises:
            WorkerError: where that has been to no avail too often.
        """
        self._setbacks += 1
        if self._setbacks == MAX_SETBACKS:
            raise WorkerError(f"{error}; so it was {MAX_SETBACKS} times in a row, without an answer graded between")
        self._not_before = time.monotonic() + _FIRST_PAUSE * 2 ** (self._setbacks - 1)

    def _hand_out(self) -> None:
        """Give every idle worker an item; workers are forked as items ask for them."""
        while self._waiting:
            worker = self._idle_worker()
            if worker is None:
                return
            with self._lock:
                job = self._waiting.popleft()
            if job.tries == TRIES:
                self._give_up(job)
            elif job.tries or job.future.set_running_or_notify_cancel():
                self._give(worker, job)
            else:
                self._resolve(job, None)

    def _idle_worker(self) -> Worker | None:
        """A worker without an item, a new one where there may be more; None where one must be waited for."""
        idle = next((worker for worker in self._workers if worker.job is None), None)
        if idle is not None or len(self._workers) >= self._size or time.monotonic() < self._not_before:
            return idle
        if self._fork_server is None:
            self._fork_server = ForkServer(*self._fork_server_settings, wanted=lambda: not self._stopped)
        try:
            worker = Worker(*self._fork_server.fork())
        except ForkRefused as error:
            if self._workers:  # they go on with the work
                self._not_before = time.monotonic() + 1
            else:
                self._set_back(error)
            return None
        self._workers.append(worker)
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)
        return worker

    def _give(self, worker: Worker, job: Job) -> None:
        job.tries += 1
        worker.job, worker.unsent = job, job.frame
        worker.started, worker.spent = time.monotonic(), processor_seconds(worker.pid)
        worker.deadline = worker.started + self._timeout
        self._write(worker)

    def _give_up(self, job: Job) -> None:
        self._counts[Failure.CRASH] += 1
        self._crashes_in_row += 1
        self._resolve(job, Failure.CRASH)
        if self._crashes_in_row >= MAX_CONSECUTIVE_CRASHES:
            raise WorkerError(
                f"{MAX_CONSECUTIVE_CRASHES} items in a row each ended {TRIES} workers: the grading task cannot run here"
            )

    def _resolve(self, job: Job, result: Any) -> None:
        """The one way out of the table."""
        with self._lock:
            self._open.pop(job, None)
        with contextlib.suppress(InvalidStateError):  # cancelled before it was begun
            if isinstance(result, Exception):
                job.future.set_exception(result)
            else:
                job.future.set_result(result)

    def _patience(self) -> float | None:
        """Seconds until the next deadline, or until a process may be asked for."""
        times = [worker.deadline for worker in self._workers if worker.job is not None]
        if self._waiting and len(self._workers) < self._size:
            times.append(self._not_before)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _advance(self, worker: Worker | None, events: int) -> None:
        """Move one worker's bytes."""
        if worker is None:
            with contextlib.suppress(BlockingIOError):
                while self._wakened.recv(4096):
                    pass
            return
        if events & selectors.EVENT_WRITE:
            self._write(worker)
        if events & selectors.EVENT_READ:
            try:
                result = worker.read()
            except EOFError:
                self._replace(worker)
                return
            if result is not worker:
                self._settle(worker, result)

    def _write(self, worker: Worker) -> None:
        worker.write()
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.unsent else 0)
        self._selector.modify(worker.channel, wanted, worker)

    def _settle(self, worker: Worker, result: Any) -> None:
        job, worker.job = worker.job, None
        self._crashes_in_row = self._setbacks = 0
        if job is not None:
            self._resolve(job, result)

    def _end_overdue(self) -> None:
        """Kill every worker whose time is up; one that the machine kept from running gets the rest of its time."""
        now = time.monotonic()
        for worker in [w for w in self._workers if w.job is not None and w.deadline <= now]:
            if is_stopped(worker.pid):  # no answer does that
                self._replace(worker)
                continue
            left = time_left(self._timeout, processor_seconds(worker.pid) - worker.spent, now - worker.started)
            if left > 0:
                worker.deadline = now + max(left, _GRANULARITY)
                continue
            job = worker.job
            self._end(worker)
            self._counts[Failure.TIMEOUT] += 1
            if job is not None:
                self._resolve(job, Failure.TIMEOUT)

    def _replace(self, worker: Worker) -> None:
        """End a worker that is of no use, dead or alive; its item is the next to be given to another."""
        job = worker.job
        self._end(worker)
        if job is not None:
            with self._lock:
                self._waiting.appendleft(job)

    def _end(self, worker: Worker) -> None:
        self._selector.unregister(worker.channel)
        worker.channel.close()
        self._workers.remove(worker)
        assert self._fork_server is not None
        self._fork_server.end(worker.pid)
