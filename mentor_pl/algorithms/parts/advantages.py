"""How good each rollout is beside its group.

    standardised   (R − mean(R_b)) / (std(R_b) + eps), unbiased std [10]
    improvement    max(0, R − mean(R_b))               what [11] scales by α / R_range
    centred        R − mean(R), or R − mean of the others

R_b are the rewards of the group's rollouts that make up the baseline: by default all of them. Rewards are compared in
float64, as distances from the group's lowest: in float32 the rounding of a mean is of the order of eps, and a group
whose rewards are all equal would get advantages that are not 0.

Shapes: N rollouts of P groups.
"""

from __future__ import annotations

import torch
from torch import Tensor


def standardised(rewards: Tensor, group: Tensor, *, baseline: Tensor | None = None, eps: float = 1e-6) -> Tensor:
    """(R − mean) / (std + eps), [N] float32.

    Args:
        rewards: [N].
        group: [N] int64, 0 … P − 1.
        baseline: [N] bool, the rollouts that mean and std are taken over. In a group with fewer than two of them there
            is nothing to be compared with: 0.
        eps: added to the standard deviation.
    """
    distance, count, baseline = _from_mean(rewards, group, baseline)
    variance = _sums(distance.square() * baseline, group) / (count - 1).clamp(min=1)  # [P]
    return (distance / (variance.sqrt() + eps)[group]).where(count[group] > 1, 0).float()


def improvement(rewards: Tensor, group: Tensor, *, baseline: Tensor | None = None) -> Tensor:
    """max(0, R − mean), [N] float64; arguments as of `standardised`, where one rollout in a group's baseline is
    enough."""
    return _from_mean(rewards, group, baseline)[0].clamp(min=0)


def centred(rewards: Tensor, group: Tensor, *, leave_one_out: bool = False) -> Tensor:
    """R − mean, [N] float32; with `leave_one_out` the mean is over the group's others (alone: 0)."""
    distance, count, _ = _from_mean(rewards, group, None)
    size = count[group]
    return (distance * size / (size - 1).clamp(min=1) if leave_one_out else distance).float()


def _from_mean(rewards: Tensor, group: Tensor, baseline: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Distances from the group's mean [N], sizes of the baselines [P], and the baselines [N] bool."""
    rewards = rewards.double()
    baseline = torch.ones_like(rewards, dtype=torch.bool) if baseline is None else baseline
    count = _sums(baseline.double(), group)  # [P]
    rewards = rewards - torch.zeros_like(count).scatter_reduce_(0, group, rewards, "amin", include_self=False)[group]
    distance = rewards - (_sums(rewards * baseline, group) / count.clamp(min=1))[group]
    return distance.where(count[group] > 0, 0), count, baseline


def _sums(values: Tensor, group: Tensor) -> Tensor:
    """Σ of `values` [N] over each group, [P]."""
    groups = int(group.max()) + 1 if len(group) else 0
    return torch.zeros(groups, dtype=values.dtype, device=values.device).index_add_(0, group, values)
