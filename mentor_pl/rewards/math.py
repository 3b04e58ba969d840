r"""Outcome of mathematics: the last `\boxed{}` against the reference.

Only the last 4,000 characters of a response are read for its answer. Equal strings are right at once; everything else
goes to the worker pool, under a deadline and a memory limit.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Literal

from mentor_pl.rewards.answers.extract import final_answer, last_boxed
from mentor_pl.rewards.answers.lexer import same_text
from mentor_pl.rewards.answers.rules import Conventions
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.rewards.futures import combine
from mentor_pl.rewards.pool.pool import Failure, WorkerPool
from mentor_pl.types import Prompt, Response

# Run once before the first worker starts: they fill the parser's caches, which every worker then shares.
_WARMUP = (
    (r"\frac{1}{2}", r"2^{-1}"),
    (r"\sqrt{8}+x^2", r"x^2+2\sqrt{2}"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\3\end{pmatrix}"),
    (r"x \in (0,1] \cup \{2\}", r"(0,1]"),
    (r"y=2x+\sin\theta", r"2x+y=1"),
    (r"5 \text{ cm}", r"50 \text{ mm}"),
)
_FAILURES = {
    Failure.TIMEOUT: "the answer's comparison overran its time",
    Failure.CRASH: "every process that compared the answer was lost, as for want of memory",
}


class MathReward(Reward):
    r"""Whether the last `\boxed{}` of a response equals `prompt.answer`; 0 for an answer that cannot be graded.

    Parts: `outcome`; `timeout`, 1 where the answer overran its deadline or its memory.

    Args:
        workers: grading processes.
        timeout: seconds of processor time that one answer may take.
        memory_mb: address space of one grading process, in MiB.
        answer_in: `boxed`: only a box holds an answer; `anywhere`: without one, what follows `answer is`, `A:` or
            `####` does, or else the last line.
        units: see `mentor_pl.rewards.answers.rules.Conventions`, as for all that follow.
        base_suffix: as above.
        percent: as above.
        left_side: as above.
        list_order: as above.
        tuple_order: as above.
        letters: as above.
        decimals: as above.
        tolerance: as above; a prompt's own `metadata["tolerance"]` goes before it.

    Raises:
        UsageError: a pool setting out of its range.
    """

    range = (0.0, 1.0)

    def __init__(
        self,
        workers: int = 2,
        timeout: float = 1.0,
        memory_mb: int = 1024,
        answer_in: Literal["boxed", "anywhere"] = "boxed",
        units: Literal["ignore", "require"] = "ignore",
        base_suffix: Literal["optional", "require"] = "optional",
        percent: Literal["optional", "exact"] = "optional",
        left_side: Literal["optional", "require"] = "optional",
        list_order: Literal["ignore", "keep"] = "ignore",
        tuple_order: Literal["keep", "ignore"] = "keep",
        letters: Literal["optional", "require"] = "optional",
        decimals: Literal["reference", "either", "exact"] = "reference",
        tolerance: float = 0.0,
    ) -> None:
        self.answer_in = answer_in
        self.conventions = Conventions(
            units, base_suffix, percent, left_side, list_order, tuple_order, letters, decimals, tolerance
        )
        self.pool = WorkerPool(
            "mentor_pl.rewards.answers.equality:grade_request",
            workers,
            timeout,
            memory_mb,
            warmup=[self.conventions.request(*pair) for pair in _WARMUP],
        )

    @property
    def timeouts(self) -> int:
        """Answers that overran their deadline or their memory, since the reward was built."""
        return self.pool.timeouts + self.pool.crashes

    def grade(self, prompt: Prompt, response: Response) -> Grade | Future[Grade]:
        """Grade one response: at once, or in a worker."""
        answer = self.extract(response.text)
        if answer is None:
            return _grade(False)
        if same_text(answer, prompt.answer):
            return _grade(True)
        request = self._request(answer, prompt.answer, prompt.metadata.get("tolerance"))
        return combine([self.pool.submit(request)], lambda verdicts: _grade(verdicts[0]))

    def example(self, prompt: Prompt) -> str | None:
        """The gold answer in a box."""
        return rf"\boxed{{{prompt.answer}}}"

    def extract(self, response: str) -> str | None:
        """The answer that a response gives, or None."""
        return last_boxed(response) if self.answer_in == "boxed" else final_answer(response)

    def _request(self, answer: str, reference: str, tolerance: Any) -> dict[str, Any]:
        request = self.conventions.request(answer, reference)
        if isinstance(tolerance, int | float) and not isinstance(tolerance, bool):
            request["conventions"]["tolerance"] = float(tolerance)
        return request

    def close(self) -> None:
        """End the workers; a later call starts them again."""
        self.pool.close()


def _grade(verdict: Any) -> Grade:
    outcome = float(verdict is True)
    failure = _FAILURES.get(verdict, "")
    return Grade(outcome, {"outcome": outcome, "timeout": float(bool(failure))}, failure)
