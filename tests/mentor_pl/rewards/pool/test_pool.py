"""The worker pool: deadlines, replacement, order, clear ends. No test waits for a clock longer than its deadline."""

from __future__ import annotations

import copy
import os
import pickle
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mentor_pl.rewards import deadline
from mentor_pl.rewards.pool import dispatcher
from mentor_pl.rewards.pool.pool import Failure, WorkerError, WorkerPool
from mentor_pl.runtime.errors import UsageError

HERE = Path(__file__).parent
ROOT = HERE.parents[3]


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., WorkerPool]]:
    monkeypatch.syspath_prepend(str(HERE))
    made: list[WorkerPool] = []

    def build(workers: int = 2, timeout: float = 0.3, task: str = "worker_tasks:act", **rest: Any) -> WorkerPool:
        made.append(WorkerPool(task, workers, timeout, **rest))
        return made[-1]

    yield build
    for one in made:
        one.close()


def wait_for_end(pids: list[int]) -> None:
    """Block until every process has ended; fails after 20 seconds."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ready, _, _ = select.select([handle], [], [], 20)
        os.close(handle)
        assert ready, f"process {pid} still runs"


def test_results_come_in_the_order_of_items_for_any_number_of_workers(pool: Callable[..., WorkerPool]) -> None:
    items = [["echo", number] for number in range(200)]
    assert pool(workers=1).map(items) == pool(workers=3).map(items) == list(range(200))


def test_an_item_over_its_deadline_is_killed_and_counted_and_no_other_is_touched(
    pool: Callable[..., WorkerPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "LAST_RESORT", 2.0)
    one = pool()
    items = [["echo", 1], ["spin"], ["echo", 2], ["wait"], *(["echo", number] for number in range(3, 20))]
    assert one.map(items) == [1, Failure.TIMEOUT, 2, Failure.TIMEOUT, *range(3, 20)]
    assert (one.timeouts, one.crashes) == (2, 0)


def test_the_deadline_counts_the_processor_time_of_the_worker(
    pool: Callable[..., WorkerPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("this system does not tell a process's processor time in /proc")
    monkeypatch.setattr(deadline, "LAST_RESORT", 1e9)
    assert pool().submit(["spin"]).result(timeout=60) is Failure.TIMEOUT


def test_an_item_that_ends_its_worker_is_given_up_and_counted(pool: Callable[..., WorkerPool]) -> None:
    one = pool()
    assert one.map([["die"], ["echo", 1], ["memory", 2048], ["echo", 2]]) == [Failure.CRASH, 1, Failure.CRASH, 2]
    assert (one.timeouts, one.crashes) == (0, 2)


def test_a_task_that_cannot_be_imported_is_one_clear_error(pool: Callable[..., WorkerPool]) -> None:
    with pytest.raises(WorkerError, match="did not start for no_such_module:act: ModuleNotFoundError"):
        pool(task="no_such_module:act").map([["echo", 1]] * 5)


def test_items_that_all_end_their_workers_are_one_clear_error(pool: Callable[..., WorkerPool]) -> None:
    with pytest.raises(WorkerError, match="in a row each ended 4 workers"):
        pool().map([["die"]] * (dispatcher.MAX_CONSECUTIVE_CRASHES + 1))


def test_a_fault_of_the_task_itself_is_raised_not_scored(pool: Callable[..., WorkerPool]) -> None:
    with pytest.raises(WorkerError, match="KeyError: 'x'"):
        pool().map([["raise", "x"]])


def test_large_items_and_any_characters_pass_unchanged(pool: Callable[..., WorkerPool]) -> None:
    texts = ["x" * 3_000_000, "\x00\ud800\u202e", "é"]
    assert pool(timeout=10.0).map([["echo", text] for text in texts]) == texts


def test_workers_import_no_torch_see_no_credentials_and_write_no_files(
    pool: Callable[..., WorkerPool], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    one = pool()
    modules, environment = one.map([["modules"], ["environment"]])
    assert modules == []
    assert "WANDB_API_KEY" not in environment
    with pytest.raises(WorkerError, match="OSError"):
        one.map([["write", str(tmp_path / "file")]])
    assert not (tmp_path / "file").exists() or (tmp_path / "file").stat().st_size == 0


def test_the_grading_task_imports_no_torch(pool: Callable[..., WorkerPool]) -> None:
    code = (
        "import sys, mentor_pl.rewards.answers.equality as m; print(sorted({'torch', 'lightning'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_starts_before_the_first_item_and_copies_start_their_own(pool: Callable[..., WorkerPool]) -> None:
    one = pool()
    assert one._dispatcher is None
    first = one.map([["pid"]])[0]
    for other in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert other._dispatcher is None
        assert other.map([["pid"]])[0][1] != first[1]
        other.close()


def test_closing_ends_every_process_may_be_repeated_and_a_later_item_starts_afresh(
    pool: Callable[..., WorkerPool],
) -> None:
    one = pool()
    pids = one.map([["pid"]])[0]
    one.close()
    one.close()
    wait_for_end(pids)
    assert one.map([["echo", 1]]) == [1]


def test_a_dropped_pool_ends_its_processes(pool: Callable[..., WorkerPool]) -> None:
    pids = WorkerPool("worker_tasks:act").map([["pid"]])[0]
    wait_for_end(pids)


PARENT = """
import sys
sys.path.insert(0, {here!r})
from mentor_pl.rewards.pool.pool import WorkerPool
pool = WorkerPool("worker_tasks:act", workers=1, timeout=600.0)
print(*pool.map([["pid"]])[0], flush=True)
pool.submit(["spin"])
pool.map([["echo", 1]])
"""


def test_workers_end_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(here=str(HERE))], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for_end(pids)


@pytest.mark.parametrize("setting", [{"workers": 0}, {"timeout": 0.0}, {"timeout": float("nan")}, {"memory_mb": 10}])
def test_settings_out_of_range_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(setting))):
        WorkerPool("worker_tasks:act", **setting)
