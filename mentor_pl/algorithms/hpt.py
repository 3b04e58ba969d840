"""HPT: SFT on an expert's trace where the policy seldom succeeds, else GRPO (arXiv 2509.04419).

    P = share of the group's policy rollouts that succeed
    P > bound   A, loss of GRPO on the policy rollouts
    P ≤ bound   mean over the trace's tokens of −log π_θ(y_t); the policy rollouts carry A = 0
    loss = GRPO's over the tokens of policy rollouts + c · the mean over those of traces

Derived, since only summarised: each loss is the mean over its own tokens, so few traces weigh as much as many; policy
rollouts with A = 0 count in GRPO's mean. A problem without a trace stays with GRPO, and so does one without a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mentor_pl.algorithms.base import Rounds, Step, given_rows, policy_rows
from mentor_pl.algorithms.on_policy import OnPolicy
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.losses.nll import NegativeLogLikelihood
from mentor_pl.algorithms.parts.losses.only import Only
from mentor_pl.algorithms.parts.traces import Random, TraceSelection
from mentor_pl.runtime.ranges import check
from mentor_pl.types import Origin, Rollouts


class HPT(OnPolicy):
    """Behaviour cloning or reinforcement, problem by problem.

    Args:
        group_size: G, policy rollouts of each problem; at least 2.
        bound: the share of successes up to which the trace is learned; below 0 it never is.
        cloning: c, weight of the traces' loss.
        selection: which trace; by default any.
        loss: by default `ClippedSurrogate`.
        eps: added to the standard deviation.

    Raises:
        UsageError: for a group below 2, a bound above 1, or a negative c or eps.
    """

    uses_traces = True

    def __init__(
        self,
        group_size: int = 8,
        bound: float = 0.0,
        cloning: float = 1.0,
        selection: TraceSelection | None = None,
        loss: Term | None = None,
        eps: float = 1e-6,
    ) -> None:
        super().__init__(group_size, loss, eps)
        check("algorithm bound", bound, at_most=1, because="it is a share of successes", otherwise="-1 for never")
        check("algorithm cloning", cloning, at_least=0, because="it weighs the traces' loss")
        self.bound, self.cloning = bound, NegativeLogLikelihood(cloning)
        self.selection = selection if selection is not None else Random()

    def rounds(self, step: Step) -> Rounds:
        graded = yield policy_rows(step.prompts, self.group_size)
        rates = graded.success_rates() if self.bound >= 0 else {}
        weak = [prompt for prompt in step.prompts if rates.get(prompt.index, math.inf) <= self.bound]
        yield given_rows(weak, self.selection.select(step, weak), number=self.group_size)

    def advantages(self, rollouts: Rollouts) -> Tensor:
        cloned = torch.isin(rollouts.group, rollouts.group[rollouts.origin == Origin.DEMONSTRATION])
        return super().advantages(rollouts).where(~cloned, 0)

    def terms(self) -> Sequence[Term]:
        return [Only(self.loss, Origin.POLICY), Only(self.cloning, Origin.DEMONSTRATION)]
