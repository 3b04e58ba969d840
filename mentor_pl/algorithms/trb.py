"""TRB, distillation on rollouts of a blend within a trust region around the policy, which closes in on it.

    y_t ~ μ ∝ π_θ^{1−β_t} π*^{β_t},   β_t = max{β ∈ [0, 1]: KL(μ ‖ π_θ) ≤ ε_k},   ε_k = ε_0 α_k,   α_k = 1 − k / K
    loss = mean over tokens of KL(π_θ ‖ π*) at the prefixes of those rollouts, over the whole vocabulary

Source: arXiv 2605.31159, of which a summary was known; the law and its exactness are derived in
`mentor_pl.algorithms.parts.geometric_budget`. Taken here: ε_0 = 0.1 nats, K = 120 steps, and a mean over all tokens of
the mini-batch. The reward is measured and not learned from. Once α is 0 the rollouts are the policy's own and no expert
reads along: on-policy distillation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mentor_pl.algorithms.base import Algorithm, Rounds, Step, mixture_rows, policy_rows
from mentor_pl.algorithms.parts.geometric_budget import GeometricBudget
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.losses.divergence import Divergence
from mentor_pl.algorithms.parts.schedules import AlphaSchedule, Linear
from mentor_pl.runtime.ranges import MAX_GROUP, check
from mentor_pl.types import Rollouts


class TRB(Algorithm):
    """Trust-region blending.

    Args:
        group_size: rollouts of each problem.
        epsilon: ε_0, nats of KL(μ ‖ π_θ) that each token may cost at α = 1; with 0 it is on-policy distillation.
        schedule: how α falls where `callbacks.AlphaDecay` names no other; by default `Linear`, over 120 steps.
        loss: by default `Divergence` of kind `reverse`.

    Raises:
        UsageError: for a group below 1 or a negative ε_0.
    """

    uses_alpha = True
    blend: GeometricBudget

    def __init__(
        self,
        group_size: int = 8,
        epsilon: float = 0.1,
        schedule: AlphaSchedule | None = None,
        loss: Term | None = None,
    ) -> None:
        check("algorithm group_size", group_size, at_least=1, at_most=MAX_GROUP, because="it counts rollouts")
        check("algorithm epsilon", epsilon, at_least=0, because="KL, in nats, is never negative")
        self.group_size, self.epsilon = group_size, epsilon
        self.blend = GeometricBudget(epsilon)
        self.schedule = schedule if schedule is not None else Linear()
        self.loss = loss if loss is not None else Divergence("reverse")

    def mixes(self, alpha: float) -> bool:
        return self.epsilon * alpha > 0

    def rounds(self, step: Step) -> Rounds:
        self.blend.epsilon = self.epsilon * step.alpha
        rows = mixture_rows if self.mixes(step.alpha) else policy_rows
        yield rows(step.prompts, self.group_size)

    def advantages(self, rollouts: Rollouts) -> Tensor:
        return torch.zeros_like(rollouts.rewards)

    def terms(self) -> Sequence[Term]:
        return [self.loss]
