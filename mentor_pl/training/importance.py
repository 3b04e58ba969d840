"""Truncated importance weights for the gap between the sampler's and the trainer's arithmetic.

    w_t = min(cap, π_trainer(y_t) / π_sampler(y_t)),   both π_old: the weights that sampled, computed in two ways

Both are the policy, on mixture rows too: what the expert changes is no part of the gap. A token's advantage is
multiplied by w_t, which weighs its loss exactly wherever a term is linear in a positive factor of A, as [9] is.
Source: F. Yao et al., "Your efficient RL framework secretly brings you off-policy RL training" (2025).

Shapes: N rollouts, T response tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mentor_pl.runtime.collectives import all_sum
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check


def check_cap(cap: float | None, recompute_logprobs: bool) -> None:
    """Refuse a cap of what nothing is recomputed for.

    Raises:
        UsageError: then; and for one that is not positive.
    """
    check("model.importance_cap", cap, above=0, because="it bounds a ratio", otherwise="or null")
    if cap is not None and not recompute_logprobs:
        raise UsageError(
            f"model.importance_cap is {cap}, but its weights need a pass of training before the update: set "
            "model.recompute_logprobs to true, or importance_cap to null"
        )


def weighted(
    advantages: Tensor, trainer: Tensor, sampler: Tensor, cap: float, mask: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Advantages of tokens, weighted: [N, T]; and w's mean and the share at the cap, for the log. On every rank.

    Args:
        advantages: [N] or [N, T].
        trainer, sampler: [N, T], log π_old as either has it.
        cap: the bound.
        mask: [N, T] bool, tokens that the log speaks of.
    """
    weights = (trainer - sampler).exp().clamp(max=cap)  # [N, T]
    kept = weights[mask]
    total, capped, count = all_sum(torch.stack([kept.sum(), (kept >= cap).sum(), mask.sum()])).tolist()
    metrics = {"train/importance": total / max(1, count), "train/importance_capped": capped / max(1, count)}
    return (advantages if advantages.ndim == 2 else advantages[:, None]) * weights, metrics
