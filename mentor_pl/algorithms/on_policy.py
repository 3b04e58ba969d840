"""What methods with a group of policy rollouts have in common: G rows of each problem, standardised, one surrogate.

    A = (R − mean(R)) / (std(R) + eps),   mean and unbiased std over the group   [10]
    loss = mean over tokens of −min(r A, clip(r, 1 − ε_low, 1 + ε_high) A),   r = π_θ / π_old   [9]

The numbers are equations of MENTOR (arXiv 2510.04140). No method by itself: those that add to it are built on it.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mentor_pl.algorithms.base import Algorithm, Rounds, Step, policy_rows
from mentor_pl.algorithms.parts.advantages import standardised
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.runtime.ranges import MAX_GROUP, check
from mentor_pl.types import Rollouts


class OnPolicy(Algorithm):
    """G rollouts of the policy itself for each problem.

    Args:
        group_size: G, at least 2, since [10] divides by the standard deviation.
        loss: by default `ClippedSurrogate`, equation [9].
        eps: added to the standard deviation.

    Raises:
        UsageError: for a group below 2 or a negative eps.
    """

    def __init__(self, group_size: int = 8, loss: Term | None = None, eps: float = 1e-6) -> None:
        deviation = "advantages need the standard deviation of at least 2 rollouts"
        check("algorithm group_size", group_size, at_least=2, at_most=MAX_GROUP, because=deviation)
        check("algorithm eps", eps, at_least=0, because="it is added to a standard deviation")
        self.group_size, self.eps = group_size, eps
        self.loss = loss if loss is not None else ClippedSurrogate()

    def rounds(self, step: Step) -> Rounds:
        yield policy_rows(step.prompts, self.group_size)

    def advantages(self, rollouts: Rollouts) -> Tensor:
        return standardised(rollouts.rewards, rollouts.group, eps=self.eps)

    def terms(self) -> Sequence[Term]:
        return [self.loss]
