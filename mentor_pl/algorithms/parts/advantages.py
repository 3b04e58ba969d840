"""How good each rollout is beside its group.

On-policy [10]:  Â = (R − mean(R_on)) / (std(R_on) + eps), mean and unbiased std over the on-policy rollouts only.
Mixed [11]:      Â = α · max(0, R − mean(R_on)) / R_range: a guided failure is never punished.

The paper's [10] has no eps; the authors' code adds the 1e-6 that is the default here, so that a group whose rewards
are all equal gets zeros. Mean and distance are taken in float64: in float32 the rounding of a mean is of the order of
eps, and equal rewards would get advantages that are not 0.

Shapes: P prompts, G rollouts per prompt.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Advantage(ABC):
    """Maps the rewards of whole groups to advantages."""

    @abstractmethod
    def __call__(self, rewards: Tensor, mixed: Tensor, alpha: float, reward_range: float) -> Tensor:
        """Advantages [P, G] float32 of `rewards` [P, G]; `mixed` [P, G] bool marks the rollouts sampled from π_mix."""


class MentorAdvantage(Advantage):
    """Equations [10] and [11]. Without mixed rollouts it is GRPO's advantage.

    Args:
        eps: added to the standard deviation of [10].
    """

    def __init__(self, eps: float = 1e-6) -> None:
        self.eps = eps

    def __call__(self, rewards: Tensor, mixed: Tensor, alpha: float, reward_range: float) -> Tensor:
        on_policy, rewards = ~mixed, rewards.double()
        count = on_policy.sum(-1, keepdim=True)  # [P, 1]
        mean = (rewards * on_policy).sum(-1, keepdim=True) / count  # [P, 1]
        distance = rewards - mean  # [P, G]
        variance = (distance.square() * on_policy).sum(-1, keepdim=True) / (count - 1)  # [P, 1]
        guided = alpha * distance.clamp(min=0) / reward_range
        return torch.where(mixed, guided, distance / (variance.sqrt() + self.eps)).float()
