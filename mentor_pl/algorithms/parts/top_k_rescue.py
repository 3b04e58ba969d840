"""Speculative knowledge distillation's law (arXiv 2410.11325): the policy speaks unless the expert would never say it.

    y ~ π_θ, kept where it is among the K tokens likeliest to π*, else drawn anew from π*:
    μ(v) = π_θ(v)·1[v ∈ K] + w π*(v),   w = 1 − π_θ(K)

w is the probability that a draft falls. K = V is the policy alone; K = 1 the policy where it agrees with the expert's
first choice. What is drawn anew may be the draft again: it is then the expert's, but not replaced.

Shapes: F drafts, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.blends import Blend
from mentor_pl.algorithms.parts.gates import Scored
from mentor_pl.runtime.ranges import check


def top(values: Tensor, k: int) -> Tensor:
    """The k greatest of each row, [F, V] bool: of equal ones those with the lowest ids, so that there are exactly k."""
    k = min(k, values.shape[-1])
    least = values.topk(k, -1).values[:, -1:]  # [F, 1]
    above, equal = values > least, values == least
    return above | (equal & (equal.cumsum(-1, dtype=torch.int32) <= k - above.sum(-1, keepdim=True)))


class TopKRescue(Blend):
    """Keeps drafts within the expert's K likeliest tokens.

    `settle` is the published rule, which needs no coin; `accept` stays Algorithm 1's, which comes to the same law with
    fewer drafts lost: outside K it keeps what the expert might have said.

    Args:
        k: K.

    Raises:
        UsageError: for K below 1.
    """

    def __init__(self, k: int = 25) -> None:
        check("blend k", k, at_least=1, because="it counts the tokens that the expert lets stand")
        self.k = k

    def informed(self, drafts: Scored) -> Tensor:
        return drafts.policy.exp().masked_fill(top(drafts.expert.exp(), self.k), 0).sum(-1).clamp(max=1)

    def mixture(self, policy: Tensor, expert: Tensor, weights: Tensor) -> Tensor:
        return torch.where(top(expert, self.k), policy, 0) + weights[:, None] * expert

    def settle(
        self, policy: Tensor, expert: Tensor, draft: Tensor, weights: Tensor, coin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A draft outside K falls, whatever its coin, and a draw from π* takes its place."""
        expert = expert.exp()  # as `mixture` is given it: what is equal here is equal there
        return ~top(expert, self.k).gather(1, draft[:, None]).squeeze(1), expert
