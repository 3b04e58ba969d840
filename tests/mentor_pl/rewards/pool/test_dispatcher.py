"""When the dispatcher ends a worker, with clock and processor time made up."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from mentor_pl.rewards.pool import dispatcher
from mentor_pl.rewards.pool.dispatcher import Dispatcher
from mentor_pl.rewards.pool.job import Failure, Job, Worker


class ForkServer:
    """Notes which workers it was told to end."""

    def __init__(self) -> None:
        self.ended: list[int] = []

    def end(self, pid: int) -> int:
        self.ended.append(pid)
        return 9


@pytest.fixture
def at_work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float, float], tuple[Job, ForkServer]]]:
    """(processor seconds, seconds by the clock) -> the job with a limit of 1 s after a look at it, and the server."""
    monkeypatch.setattr(threading.Thread, "start", lambda thread: None)
    made: list[Any] = []

    def look(spent: float, waited: float) -> tuple[Job, ForkServer]:
        counts: dict[Failure, int] = dict.fromkeys(Failure, 0)
        under_test = Dispatcher("task", 1, 1.0, 256, (), counts)
        server: Any = ForkServer()
        ours, theirs = socket.socketpair()
        under_test._fork_server = server
        worker = Worker(7, ours, Job(b"", Future()), started=100, spent=5, deadline=101)
        made.extend((worker.channel, theirs, under_test._selector, under_test._waker, under_test._wakened))
        under_test._workers.append(worker)
        under_test._selector.register(worker.channel, selectors.EVENT_READ, worker)
        monkeypatch.setattr(dispatcher, "time", SimpleNamespace(monotonic=lambda: 100 + waited))
        monkeypatch.setattr(dispatcher, "processor_seconds", lambda pid: 5 + spent)
        job = worker.job
        assert job is not None
        under_test._end_overdue()
        assert counts[Failure.TIMEOUT] == len(server.ended)
        return job, server

    yield look
    for one in made:
        one.close()


def test_an_item_that_a_busy_machine_kept_waiting_is_not_timed_out(at_work: Any) -> None:
    """A load of 15 on two cores gives a worker a seventh of the time; a load of 100 a fiftieth."""
    for waited in (7.5, 50.0):
        job, server = at_work(0.9, waited)
        assert not job.future.done()
        assert server.ended == []


def test_an_item_over_its_processor_time_is_timed_out(at_work: Any) -> None:
    job, server = at_work(1.0, 1.0)
    assert job.future.result() is Failure.TIMEOUT
    assert server.ended == [7]


def test_an_item_that_takes_no_processor_time_at_all_ends_in_the_end(at_work: Any) -> None:
    assert at_work(0.0, 1e4)[0].future.result() is Failure.TIMEOUT
