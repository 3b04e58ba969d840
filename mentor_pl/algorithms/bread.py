"""BREAD: where a whole group failed, rollouts branch off an expert's trace as early as the policy can finish it (arXiv
2506.17211).

    n*   the least n of which a prefix of n / pieces of the trace leads to a success, found by bisection: `tries`
         rollouts go on from a prefix, and one that succeeds is enough
    branch rollouts   G, from the prefix n*
    A, loss           those of GRPO, policy rollouts and branch rollouts each compared among themselves; prefixes are
                      not trained on

Bisection takes for granted that more of the trace helps. From the whole trace nothing branches: where the policy fails
from every shorter prefix that is tried, the problem has no branch. Derived, since only summarised: a trace is cut into
parts of equally many tokens, where the paper cuts at sentences; the group that failed keeps the advantages of GRPO,
which are 0 where its rewards are equal.
"""

from __future__ import annotations

from torch import Tensor

from mentor_pl.algorithms.base import Rounds, Step, policy_rows
from mentor_pl.algorithms.on_policy import OnPolicy
from mentor_pl.algorithms.parts.advantages import standardised
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.traces import Random, TraceSelection
from mentor_pl.runtime.ranges import check
from mentor_pl.types import Prompt, Rollouts, Row, Trace


class BREAD(OnPolicy):
    """Branch rollouts from expert prefixes.

    Args:
        group_size: G, policy rollouts of each problem, and branch rollouts of one that failed; at least 2.
        pieces: equal parts of a trace that a prefix may end behind; 1: nothing branches.
        tries: rollouts that are made from a prefix to see whether one succeeds; they are not trained on.
        selection: which trace; by default any.
        loss: by default `ClippedSurrogate`.
        eps: added to the standard deviation.

    Raises:
        UsageError: for a group below 2, counts below 1, or a negative eps.
    """

    uses_traces = True

    def __init__(
        self,
        group_size: int = 8,
        pieces: int = 8,
        tries: int = 2,
        selection: TraceSelection | None = None,
        loss: Term | None = None,
        eps: float = 1e-6,
    ) -> None:
        super().__init__(group_size, loss, eps)
        check("algorithm pieces", pieces, at_least=1, because="a trace is cut into them")
        check("algorithm tries", tries, at_least=1, because="a prefix is tried")
        self.pieces, self.tries = pieces, tries
        self.selection = selection if selection is not None else Random()

    def rounds(self, step: Step) -> Rounds:
        graded = yield policy_rows(step.prompts, self.group_size)
        rates = graded.success_rates()
        failed = [prompt for prompt in step.prompts if rates.get(prompt.index) == 0]
        traces = zip(failed, self.selection.select(step, failed), strict=True)
        searches = [_Search(prompt, trace, self.pieces, self.group_size) for prompt, trace in traces if trace]
        while looking := [search for search in searches if not search.over]:
            graded = yield [row for search in looking for row in search.rows(search.middle, self.tries, True)]
            rates = graded.success_rates()
            for search in looking:
                search.learn(rates.get(search.prompt.index, 0.0) > 0)
        yield [
            row
            for search in searches
            if search.succeeds < self.pieces
            for row in search.rows(search.succeeds, self.group_size, probe=False)
        ]

    def advantages(self, rollouts: Rollouts) -> Tensor:
        # rollouts of one problem that begin alike are compared; lengths tell, since a problem has one prefix
        alike = rollouts.group * (rollouts.given.shape[1] + 1) + rollouts.given.sum(1)
        return standardised(rollouts.rewards, alike, eps=self.eps)

    def train_mask(self, rollouts: Rollouts) -> Tensor:
        return rollouts.mask & ~rollouts.given


class _Search:
    """Bisection over the prefixes of a trace.

    Attributes:
        fails: pieces from which the policy fails.
        succeeds: pieces from which it succeeds; all of them until there are fewer.
        number: of the next rollout; the problem's own, whatever is searched beside it.
    """

    def __init__(self, prompt: Prompt, trace: Trace, pieces: int, number: int) -> None:
        self.prompt, self.trace, self.pieces, self.number = prompt, trace, pieces, number
        self.fails, self.succeeds = 0, pieces

    @property
    def over(self) -> bool:
        return self.succeeds - self.fails <= 1

    @property
    def middle(self) -> int:
        return (self.fails + self.succeeds) // 2

    def learn(self, success: bool) -> None:
        """Take in what came of the middle."""
        self.fails, self.succeeds = (self.fails, self.middle) if success else (self.middle, self.succeeds)

    def rows(self, count: int, rows: int, probe: bool) -> list[Row]:
        """`rows` further rollouts from a prefix of `count` pieces."""
        prefix = self.trace[: len(self.trace) * count // self.pieces]
        numbers = range(self.number, self.number + rows)
        self.number += rows
        return [Row(self.prompt, self.prompt.token_ids, number, given=prefix, probe=probe) for number in numbers]
