"""A law within a trust region around the policy (arXiv 2605.31159): as much of the expert as a budget of KL allows.

    μ ∝ π_θ^{1−β} π*^β,   β = max{β ∈ [0, 1]: KL(μ_β ‖ π_θ) ≤ ε}

With d = log π* − log π_θ and A(β) = log E_{π_θ}[exp(β d)], μ_β = π_θ exp(β d − A(β)), so KL(μ_β ‖ π_θ) = β A′(β) − A(β)
with derivative β A″(β) = β Var_{μ_β}(d) ≥ 0: it rises with β, and bisection finds the greatest. Where the expert never
says what the policy might, it jumps from 0 at once behind β = 0, and rises from there.

Shapes: F drafts, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.blends import Blend
from mentor_pl.algorithms.parts.gates import Scored
from mentor_pl.runtime.ranges import check

HALVINGS = 20  # of [0, 1]: β is at most 1e-6 too low, and never too high; a fixed number waits for no host


def geometric(policy: Tensor, expert: Tensor, beta: Tensor) -> Tensor:
    """log μ_β [F, V] from log π_θ and log π* [F, V] and β [F]; NaN where the two have no token in common.

    0⁰ is 1: at β = 0 the expert has no say, and at β = 1 the policy has none.
    """
    beta = beta[:, None]
    never = ((policy == -torch.inf) & (beta < 1)) | ((expert == -torch.inf) & (beta > 0))
    least = torch.finfo(policy.dtype).min
    logits = (1 - beta) * policy.clamp(min=least) + beta * expert.clamp(min=least)
    return logits.masked_fill(never, -torch.inf).log_softmax(-1)


class GeometricBudget(Blend):
    """The geometric mixture within a budget, exact by Algorithm 1's rule; its weight is β.

    Args:
        epsilon: ε in nats; it may be set anew between steps. With 0 nothing is the expert's, not even where both agree.

    Raises:
        UsageError: for a negative ε.
    """

    def __init__(self, epsilon: float = 0.1) -> None:
        check("blend epsilon", epsilon, at_least=0, because="KL, in nats, is never negative")
        self.epsilon = epsilon

    def informed(self, drafts: Scored) -> Tensor:
        beta = torch.zeros_like(drafts.divergences)
        if self.epsilon == 0:
            return beta
        for halving in range(1, HALVINGS + 1):
            tried = beta + 0.5**halving
            law = geometric(drafts.policy, drafts.expert, tried)
            divergence = (law.exp() * (law - drafts.policy)).masked_fill(law == -torch.inf, 0).sum(-1)
            beta = torch.where(divergence <= self.epsilon, tried, beta)  # NaN is no law and never within the budget
        return torch.where(drafts.divergences <= self.epsilon, 1, beta)

    def mixture(self, policy: Tensor, expert: Tensor, weights: Tensor) -> Tensor:
        law = geometric(policy.log(), expert.log(), weights).exp()
        return torch.where(weights[:, None] > 0, law, policy)  # β = 0 is the policy to the last bit
