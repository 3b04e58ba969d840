"""A pool of killable workers: every item has a deadline that the parent keeps, and none can take the batch with it.

    pool = WorkerPool("package.module:function", workers=2, timeout=1.0)
    pool.map(items)       # results in the items' order; a `Failure` stands where a worker had to be replaced
    pool.submit(item)     # the same for one item, as a future

One thread in the parent feeds the workers, one item each, over a socket each. A worker that overruns its deadline is
killed with SIGKILL and replaced by a fork of a warm process (`worker.py`); so is one that dies or is stopped, and its
item goes to another, to `TRIES` in all, before it is given up. Where the warm process itself is killed, stopped or
silent, or the system refuses a fork, everything is started anew and every item without a result is sent again. So each
item comes back: as a result, as a `Failure`, or, where nothing can be started time and again, as `WorkerError`. The
result of an item does not depend on the number of workers or on the items beside it.

The deadline counts the worker's own processor time where the system tells it (/proc), so a busy machine does not
turn right answers into zeros; a worker that merely waits is killed `LAST_RESORT` seconds later (`rewards/deadline.py`).
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from mentor_pl.rewards.pool.dispatcher import Dispatcher
from mentor_pl.rewards.pool.fork_server import WorkerError
from mentor_pl.rewards.pool.job import Failure
from mentor_pl.runtime.ranges import MAX_SECONDS, check

__all__ = ["Failure", "WorkerError", "WorkerPool"]


class WorkerPool:
    """Runs `task` on untrusted items in limited processes. Nothing starts before the first item.

    Copies and pickles carry the settings only; each copy starts workers of its own when it is first used.

    Args:
        task: `module:function`, imported in the workers only. It takes and returns what JSON can carry.
        workers: processes at work at the same time, at least 1.
        timeout: seconds of a worker's processor time that one item may take.
        memory_mb: address space of one worker, in MiB.
        warmup: items that are run once before the first worker starts.

    Raises:
        UsageError: a setting out of its range.
    """

    def __init__(
        self,
        task: str,
        workers: int = 2,
        timeout: float = 1.0,
        memory_mb: int = 1024,
        warmup: Sequence[Any] = (),
    ) -> None:
        check("reward workers", workers, at_least=1, because="they are the processes that grade")
        check("reward timeout", timeout, above=0, at_most=MAX_SECONDS, because="it is the seconds an answer may take")
        check("reward memory_mb", memory_mb, at_least=256, because="a worker itself needs 256 MiB")
        self._settings = (task, workers, timeout, memory_mb, tuple(warmup))
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._dispatcher: Dispatcher | None = None
        self._finalizer: weakref.finalize[..., WorkerPool] | None = None
        self._counts = dict.fromkeys(Failure, 0)

    @property
    def timeouts(self) -> int:
        """Items that overran their deadline, since the pool was built."""
        return self._counts[Failure.TIMEOUT]

    @property
    def crashes(self) -> int:
        """Items under which every worker was lost by other means (out of memory, a fault of the interpreter)."""
        return self._counts[Failure.CRASH]

    def submit(self, item: Any) -> Future[Any]:
        """Hand over one item. The future yields the task's result, or a `Failure`.

        The future raises `WorkerError` where the workers cannot start or the task itself is at fault.
        """
        try:
            return self._usable_dispatcher().submit(item)
        except WorkerError as error:
            failed: Future[Any] = Future()
            failed.set_exception(error)
            return failed

    def _usable_dispatcher(self) -> Dispatcher:
        with self._lock:
            if self._dispatcher is None or not self._dispatcher.usable:
                if self._finalizer is not None:
                    self._finalizer.detach()
                self._dispatcher = Dispatcher(*self._settings, counts=self._counts)
                self._finalizer = weakref.finalize(self, self._dispatcher.stop)
            return self._dispatcher

    def map(self, items: Iterable[Any]) -> list[Any]:
        """Results of all items, in their order."""
        futures = [self.submit(item) for item in items]
        return [future.result() for future in futures]

    def close(self) -> None:
        """End the workers; may be repeated. Items still waiting raise `WorkerError`; a later item starts afresh."""
        with self._lock:
            finalizer, self._finalizer, self._dispatcher = self._finalizer, None, None
        if finalizer is not None:
            finalizer()

    def __getstate__(self) -> dict[str, Any]:
        return {"_settings": self._settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._settings = state["_settings"]
        self._reset()
