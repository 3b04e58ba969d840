"""The worker's side: make the problem anew, and let its task score an answer.

Several of the library's scorers evaluate an answer as Python (by SymPy's `parse_expr`), and answers are a policy's. So
a worker gives up files, network and rights before its first answer, as far as the system lets it.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Any

from mentor_pl.rewards.environments.making import problem
from mentor_pl.rewards.environments.tasks import library, said
from mentor_pl.rewards.sandbox import landlock, namespaces, seccomp
from mentor_pl.runtime.errors import UsageError

_INSTALLED = ("site-packages", "dist-packages")  # what a task imports late may lie in another of them than its library
_confined = False


def score(request: dict[str, Any] | None) -> float | str:
    """The score in [0, 1] of an answer; a text that says why there can be none. None imports the library, no more.

    Args:
        request: `task`, as the arguments of `Task`; the problem's `index` and `question`; and the `answer`. A scorer
            that fails on an answer gives 0.
    """
    folder = str(Path(library().__file__).parents[1])
    if request is None:
        return 0.0
    _confine([folder, *(path for path in sys.path if Path(path).name in _INSTALLED)])
    try:
        dataset, entry = problem(request["task"], request["index"])
    except UsageError as error:
        return str(error)
    except MemoryError:
        raise
    except Exception as error:  # of many kinds: data say what the task is made of
        return f"its task does not make it: {said(error)}"
    if entry["question"] != request["question"]:
        return "the task makes another problem of its seed and place: the data are of another version, or were changed"
    try:
        found = float(dataset.score_answer(request["answer"], entry))
    except MemoryError:
        raise
    except Exception:  # of many kinds, for answers that are not in the task's form
        return 0.0
    return min(max(found, 0.0), 1.0) if math.isfinite(found) else 0.0


def _confine(readable: list[str]) -> None:
    """Once in this process: no rights, no files but the system's and `readable` to be read, no network. Linux only."""
    global _confined
    if _confined or not sys.platform.startswith("linux"):
        return
    _confined = True
    namespaces.give_up_rights(os.getpid())
    landlock.restrict([], readable=readable)
    seccomp.restrict(in_namespaces=False)
