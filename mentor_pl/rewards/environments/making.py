"""The worker's side of problems: they are made here and nowhere else, so what one worker makes, any makes again.

A problem must depend on seed and place alone. But some tasks walk through sets of texts, whose order depends on the
process's hash seed, which all workers share (`pool/fork_server.py`); and some draw from the generators of the process,
which are seeded for each problem here.
"""

from __future__ import annotations

import copy
import json
import random
from functools import lru_cache
from typing import Any

import numpy

from mentor_pl.rewards.environments.tasks import Task, library, said


def make(request: dict[str, Any] | None) -> list[Any] | str:
    """A problem as `[question, answer]`; a text that says why there is none. None imports the library, no more.

    Args:
        request: `task`, as the arguments of `Task`, and the problem's `index`.
    """
    library()
    if request is None:
        return ""
    try:
        _, entry = problem(request["task"], request["index"])
    except MemoryError:
        raise
    except Exception as error:  # of many kinds: a task's generator does not always find a problem
        return said(error)
    answer = entry["answer"]
    return [entry["question"], answer if isinstance(answer, str) else None]


def problem(task: dict[str, Any], index: int) -> tuple[Any, dict[str, Any]]:
    """The data set of a task and its entry, which is the caller's to change.

    Raises:
        UsageError: where there is no such task.
    """
    dataset, entry = _problem(json.dumps(task, sort_keys=True), index)
    return dataset, copy.deepcopy(entry)


@lru_cache(maxsize=256)  # the answers of a group come one after another
def _problem(task: str, index: int) -> tuple[Any, dict[str, Any]]:
    dataset = _dataset(task)
    for seed in (random.seed, numpy.random.seed):
        seed((dataset.seed + index) % 2**32)
    return dataset, dataset[index]


@lru_cache(maxsize=64)
def _dataset(task: str) -> Any:
    made_of = json.loads(task)
    return Task(made_of["name"], made_of["seed"], made_of["size"], made_of["options"]).dataset()
