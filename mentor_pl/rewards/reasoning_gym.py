r"""Outcome of reasoning-gym's tasks: the task's own score of the last `\boxed{}` or `<answer>…</answer>`.

    train: reasoning_gym:countdown?size=1000
    reward:
      class_path: mentor_pl.rewards.reasoning_gym.ReasoningGymReward

A worker makes the problem anew, from what the source keeps of it, and scores, under a deadline and a memory limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from mentor_pl.rewards.answers.extract import boxed_or_tagged
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.rewards.environments.tasks import COLUMN, NO_ANSWER, PREFIX, library
from mentor_pl.rewards.futures import combine
from mentor_pl.rewards.pool.pool import Failure, WorkerPool
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response

_FAILURES = {
    Failure.TIMEOUT: "the task's scorer overran its time",
    Failure.CRASH: "every process that scored the answer was lost, as for want of memory",
}


class ReasoningGymReward(Reward):
    """What the task of a problem says an answer is worth, 0 to 1; 0 for a response without one.

    Parts: `outcome`, 1 for the full score; `score`; `timeout`, 1 where the answer overran its deadline or its memory.

    Args:
        partial: whether the total is the score, which many tasks give in part, some for any answer at all; by default
            it is the outcome.
        workers: scoring processes.
        timeout: seconds of processor time that one answer may take, its problem's making included.
        memory_mb: address space of one scoring process, in MiB.

    Raises:
        UsageError: where the library cannot be imported, for a pool setting out of its range, and when called for a
            prompt that is not of a source `reasoning_gym:…`.
    """

    range = (0.0, 1.0)

    def __init__(self, partial: bool = False, workers: int = 2, timeout: float = 5.0, memory_mb: int = 2048) -> None:
        self.partial = partial
        self.pool = WorkerPool(
            "mentor_pl.rewards.environments.scoring:score", workers, timeout, memory_mb, warmup=[None]
        )
        library()  # that it is not there is said before anything is read

    def grade(self, prompt: Prompt, response: Response) -> Grade | Future[Grade]:
        """Grade one response: in a worker where it has an answer."""
        origin = prompt.metadata.get(COLUMN)
        if not isinstance(origin, Mapping):
            raise UsageError(
                f"prompt {prompt.index} has no column {COLUMN}, which says how its task makes it: read it from "
                f"{PREFIX}NAME, and keep the column where data.select.columns.metadata is set"
            )
        answer = boxed_or_tagged(response.text)
        if answer is None:
            return self._grade(0.0)
        request = {**origin, "question": prompt.problem, "answer": answer}
        return combine([self.pool.submit(request)], lambda found: self._verdict(prompt, found[0]))

    def _verdict(self, prompt: Prompt, found: Any) -> Grade:
        if isinstance(found, str):
            raise UsageError(f"prompt {prompt.index} cannot be scored: {found}")
        failure = _FAILURES.get(found, "") if isinstance(found, Failure) else ""
        return self._grade(0.0 if failure else float(found), failure)

    def _grade(self, score: float, failure: str = "") -> Grade:
        outcome = float(score >= 1)
        parts = {"outcome": outcome, "score": score, "timeout": float(bool(failure))}
        return Grade(score if self.partial else outcome, parts, failure)

    def example(self, prompt: Prompt) -> str | None:
        """The task's own answer in a box."""
        return None if prompt.answer == NO_ANSWER else rf"\boxed{{{prompt.answer}}}"

    def close(self) -> None:
        """End the workers; a later call starts them again."""
        self.pool.close()
