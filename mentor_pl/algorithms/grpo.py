"""On-policy RL (GRPO): G rollouts of the policy itself, standardised within their group. Equations [9] and [10].

    A = (R − mean(R)) / (std(R) + eps),   mean and unbiased std over the group
    loss = mean over tokens of −min(r A, clip(r, 1 − ε_low, 1 + ε_high) A),   r = π_θ / π_old

The settings are the paper's (Appendix B): clip-higher, token-level mean, no KL, no entropy bonus.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from torch import Tensor

from mentor_pl.algorithms.base import Algorithm, Graded, policy_rows
from mentor_pl.algorithms.parts.advantages import standardised
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.runtime.ranges import MAX_GROUP, check
from mentor_pl.types import Prompt, Rollouts, Row


class GRPO(Algorithm):
    """On-policy RL.

    Args:
        group_size: G, rollouts of each problem; at least 2, since [10] divides by their standard deviation.
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

    def rounds(
        self, prompts: Sequence[Prompt], alpha: float, draw: Callable[[int], list[Prompt]]
    ) -> Generator[list[Row], Graded, None]:
        yield policy_rows(prompts, self.group_size)

    def advantages(self, rollouts: Rollouts) -> Tensor:
        return standardised(rollouts.rewards, rollouts.group, eps=self.eps)

    def terms(self) -> Sequence[Term]:
        return [self.loss]
