r"""Outcome reward: the last `\boxed{}` against the reference, blended with the format reward (appendix B).

    reward = outcome_weight · outcome + format_weight · format

The paper's 0.9 and 0.1 (Qwen2.5) are the defaults; 0.8 and 0.2 are its weights for LLaMA-3.1. Only the last 4,000
characters of a response are read for its answer. Equal strings are right at once; everything else goes to the worker
pool, under a deadline and a memory limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Literal

from mentor_pl.rewards.answers.extract import final_answer, last_boxed
from mentor_pl.rewards.answers.rules import Conventions
from mentor_pl.rewards.answers.text import same_text
from mentor_pl.rewards.base import Grades, Reward
from mentor_pl.rewards.format import matches
from mentor_pl.rewards.pool.pool import CRASH, TIMEOUT, WorkerPool
from mentor_pl.rewards.streaming import gather
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt

# Run once before the first worker starts: they fill the parser's caches, which every worker then shares.
_WARMUP = (
    (r"\frac{1}{2}", r"2^{-1}"),
    (r"\sqrt{8}+x^2", r"x^2+2\sqrt{2}"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\3\end{pmatrix}"),
    (r"x \in (0,1] \cup \{2\}", r"(0,1]"),
    (r"y=2x+\sin\theta", r"2x+y=1"),
)


class MathReward(Reward):
    r"""Whether the last `\boxed{}` of a response equals `prompt.answer`; 0 for an answer that cannot be graded.

    Parts: `outcome` and `format`, 0 or 1 each; `timeout`, 1 where the answer overran its deadline or its memory.

    Args:
        outcome_weight: weight of the outcome.
        format_weight: weight of the paper's format (`mentor_pl.rewards.format`).
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
        UsageError: a negative weight, no weight above 0, or a pool setting out of its range.
    """

    def __init__(
        self,
        outcome_weight: float = 0.9,
        format_weight: float = 0.1,
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
        if min(outcome_weight, format_weight) < 0 or outcome_weight + format_weight <= 0:
            raise UsageError(
                f"outcome_weight={outcome_weight} and format_weight={format_weight}: weights must not be negative and "
                "must not both be 0; the paper's are 0.9 and 0.1"
            )
        self.outcome_weight = outcome_weight
        self.format_weight = format_weight
        self.range: tuple[float, float] = (0.0, outcome_weight + format_weight)
        self.answer_in = answer_in
        self.conventions = Conventions(
            units, base_suffix, percent, left_side, list_order, tuple_order, letters, decimals, tolerance
        )
        self.pool = WorkerPool(
            "mentor_pl.rewards.answers.equality:grade",
            workers,
            timeout,
            memory_mb,
            warmup=[self.conventions.request(*pair) for pair in _WARMUP],
        )

    @property
    def timeouts(self) -> int:
        """Answers that overran their deadline or their memory, since the reward was built."""
        return self.pool.timeouts + self.pool.crashes

    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Grades:
        """Grade N responses."""
        futures = [self.submit(prompt, response) for prompt, response in zip(prompts, responses, strict=True)]
        return gather(futures)

    def submit(self, prompt: Prompt, response: str) -> Future[Grades]:
        """Start to grade one response."""
        well_formed = float(matches(prompt.response_prefix + response))
        grades: Future[Grades] = Future()

        def settle(verdict: Any) -> None:
            outcome = float(verdict is True)
            total = self.outcome_weight * outcome + self.format_weight * well_formed
            late = float(verdict in (TIMEOUT, CRASH))
            grades.set_result(Grades([total], {"outcome": [outcome], "format": [well_formed], "timeout": [late]}))

        def finish(future: Future[Any]) -> None:
            error = future.exception()
            if error is None:
                settle(future.result())
            else:
                grades.set_exception(error)

        answer = self.extract(response)
        if answer is None:
            settle(False)
        elif same_text(answer, prompt.answer):
            settle(True)
        else:
            own = prompt.metadata.get("tolerance")
            self.pool.submit(self._request(answer, prompt.answer, own)).add_done_callback(finish)
        return grades

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
