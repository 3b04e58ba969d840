"""Every item comes back, whatever becomes of the processes: killed, stopped, refused, several times and at once."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from mentor_pl.rewards.pool import dispatcher, fork_server
from mentor_pl.rewards.pool.dispatcher import TRIES
from mentor_pl.rewards.pool.fork_server import ForkRefused, ForkServer
from mentor_pl.rewards.pool.pool import Failure, WorkerError, WorkerPool

HERE = Path(__file__).parent
PATIENCE = 60  # seconds after which an item counts as lost
Build = Callable[..., WorkerPool]


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setattr(dispatcher, "_FIRST_PAUSE", 1e-3)
    made: list[WorkerPool] = []

    def build(workers: int = 2, timeout: float = 30.0, task: str = "worker_tasks:act") -> WorkerPool:
        made.append(WorkerPool(task, workers, timeout))
        return made[-1]

    yield build
    for one in made:
        one.close()


def results(futures: list[Future[Any]]) -> list[Any]:
    return [future.result(PATIENCE) for future in futures]


def state(pid: int) -> bytes:
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]


def busy_worker(one: WorkerPool, but: int = 0) -> int:
    """Poll until a worker other than `but` sleeps over an item; its process id."""
    while True:
        workers = list(one._dispatcher._workers) if one._dispatcher is not None else []
        for worker in workers:
            if worker.job is not None and not worker.unsent and worker.pid != but and state(worker.pid) == b"S":
                return worker.pid
        os.sched_yield()


def test_an_item_whose_workers_are_killed_from_outside_is_given_to_others_and_given_up_in_the_end(pool: Build) -> None:
    one = pool(workers=1)
    pending, queued = one.submit(["wait"]), one.submit(["echo", 5])
    killed = 0
    for _ in range(TRIES):
        killed = busy_worker(one, but=killed)
        os.kill(killed, signal.SIGKILL)
    assert results([pending, queued]) == [Failure.CRASH, 5]
    assert (one.timeouts, one.crashes) == (0, 1)


def test_a_stopped_worker_is_replaced_and_its_item_graded_by_another(pool: Build, tmp_path: Path) -> None:
    file = str(tmp_path / "stopped")
    one = pool(timeout=0.2)
    assert results([one.submit(["stop once", file]), one.submit(["echo", 1])]) == [file, 1]
    assert (one.timeouts, one.crashes) == (0, 0)


def test_an_item_that_stops_every_worker_is_given_up(pool: Build) -> None:
    one = pool(timeout=0.1)
    assert results([one.submit(["stop"]), one.submit(["echo", 1])]) == [Failure.CRASH, 1]


def test_a_worker_that_answers_nonsense_is_replaced(pool: Build) -> None:
    one = pool(workers=1)
    assert results([one.submit(["garbage"]), one.submit(["echo", 1])]) == [Failure.CRASH, 1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_a_fork_server_that_is_lost_under_waiting_items_is_started_anew_and_no_item_is_lost(
    pool: Build, number: int
) -> None:
    one = pool(workers=2)
    (_, server), _ = results([one.submit(["pid"]), one.submit(["echo", 0])])
    os.kill(server, number)
    futures = [one.submit(["die" if i == 7 else "echo", i]) for i in range(40)]  # a death asks the server to act
    assert results(futures) == [Failure.CRASH if i == 7 else i for i in range(40)]
    assert results([one.submit(["pid"])])[0][1] != server


def test_a_fork_server_killed_time_and_again_loses_nothing_while_answers_are_graded_between(pool: Build) -> None:
    one = pool(workers=2)
    killed = set()
    for _ in range(dispatcher.MAX_SETBACKS + 2):
        while (server := results([one.submit(["pid"])])[0][1]) in killed:
            pass  # a worker of the one before, which ends in a moment
        futures = [one.submit(["echo", i]) for i in range(20)]
        os.kill(server, signal.SIGKILL)
        killed.add(server)
        assert results(futures) == list(range(20))
    assert len(killed) == dispatcher.MAX_SETBACKS + 2
    assert one.crashes == 0


def test_server_and_workers_killed_at_once(pool: Build) -> None:
    one = pool(workers=3)
    futures = [one.submit(["wait"]), *(one.submit(["echo", i]) for i in range(20))]
    first = busy_worker(one)
    assert one._dispatcher is not None and one._dispatcher._fork_server is not None
    workers = [worker.pid for worker in list(one._dispatcher._workers)]
    for pid in [*workers, one._dispatcher._fork_server._process.pid]:
        os.kill(pid, signal.SIGKILL)
    assert results(futures[1:]) == list(range(20))
    assert busy_worker(one, but=first)  # the item that was at work then is at work again


def test_a_fork_server_that_never_lives_is_one_line_and_no_hang(pool: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    monkeypatch.setattr(fork_server, "_PROGRAM", program)
    one = pool()
    for future in [one.submit(["echo", i]) for i in range(5)]:
        with pytest.raises(WorkerError, match=r"did not start .* status -9; so it was 8 times in a row") as error:
            future.result(PATIENCE)
        assert "\n" not in str(error.value)


def test_a_system_that_starts_no_process_is_one_line(pool: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(WorkerError, match=r"did not start for .*Resource temporarily unavailable"):
        pool().submit(["echo", 1]).result(PATIENCE)


def test_a_system_that_starts_no_thread_is_a_failed_item(pool: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(WorkerError, match="can't start new thread"):
        pool().submit(["echo", 1]).result(PATIENCE)


Fork = Callable[[ForkServer], tuple[int, socket.socket]]


def refusing(real: Fork, which: Callable[[int], bool]) -> Fork:
    """`fork` that is refused where `which` says so of the call's number."""
    calls = iter(range(10**6))

    def fork(server: ForkServer) -> tuple[int, socket.socket]:
        if which(next(calls)):
            raise ForkRefused("no further grading worker could be started: Cannot allocate memory")
        return real(server)

    return fork


def test_a_fork_refused_for_a_while_loses_no_item(pool: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ForkServer, "fork", refusing(ForkServer.fork, lambda call: call < 3))
    one = pool()
    assert results([one.submit(["echo", i]) for i in range(20)]) == list(range(20))


def test_with_one_worker_had_and_no_other_all_is_graded_by_that_one(
    pool: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ForkServer, "fork", refusing(ForkServer.fork, lambda call: call > 0))
    one = pool(workers=4)
    assert len({pid for pid, _ in results([one.submit(["pid"]) for _ in range(20)])}) == 1


def test_forks_refused_for_good_are_one_line_and_no_hang(pool: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ForkServer, "fork", refusing(ForkServer.fork, lambda _: True))
    for future in [pool().submit(["echo", i]) for i in range(5)]:
        with pytest.raises(WorkerError, match="Cannot allocate memory; so it was 8 times in a row"):
            future.result(PATIENCE)


def test_closing_while_items_wait_fails_them_and_the_pool_starts_afresh(pool: Build) -> None:
    one = pool(workers=1)
    futures = [one.submit(["wait"]), *(one.submit(["echo", i]) for i in range(5))]
    busy_worker(one)
    futures[3].cancel()
    one.close()
    for future in (*futures[:3], *futures[4:]):
        with pytest.raises(WorkerError, match="closed"):
            future.result(PATIENCE)
    assert results([one.submit(["echo", 1])]) == [1]


def test_closing_does_not_wait_for_a_stopped_fork_server(pool: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_server, "is_stopped", lambda pid: False)  # as where the system does not tell
    one = pool(workers=1)
    server = results([one.submit(["pid"])])[0][1]
    os.kill(server, signal.SIGSTOP)
    pending = one.submit(["die"])  # the server is asked for another worker
    assert one._dispatcher is not None
    while one._dispatcher._workers:
        os.sched_yield()
    one.close()
    with pytest.raises(WorkerError, match="closed"):
        pending.result(PATIENCE)
