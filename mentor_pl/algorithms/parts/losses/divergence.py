"""What policy and expert differ by at the tokens that were visited, over the whole vocabulary.

    reverse    Σ_t KL(π_θ ‖ π*)    seeks a mode of the expert: on-policy distillation
    forward    Σ_t KL(π* ‖ π_θ)    covers all that the expert might say

The gradient is that of the divergence at a prefix, not through the choice of prefixes, and no reward is in it. The mean
runs over the tokens that are trained on; which they are is the algorithm's `train_mask`.

Shapes: B rollouts, T response tokens.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs, LossOutputs, Need, Term, Tokens
from mentor_pl.runtime.ranges import check


class Divergence(Term):
    """KL between policy and expert.

    Args:
        kind: `reverse` is KL(π_θ ‖ π*), `forward` is KL(π* ‖ π_θ).
        coefficient: what the term counts for.

    Raises:
        UsageError: for a negative coefficient.
    """

    def __init__(self, kind: Literal["reverse", "forward"] = "reverse", coefficient: float = 1.0) -> None:
        check("divergence coefficient", coefficient, at_least=0, because="the policy is to come nearer to the expert")
        self.kind, self.coefficient = kind, coefficient
        self.name = f"{kind}_kl"
        self.needs = frozenset({Need.REVERSE_KL if kind == "reverse" else Need.FORWARD_KL})

    def weight(self, tokens: Tokens) -> Tensor:
        return tokens.mask.sum()

    def __call__(self, batch: LossInputs) -> LossOutputs:
        divergence = batch.reverse_kl if self.kind == "reverse" else batch.forward_kl  # [B, T]
        assert divergence is not None  # `needs` asks for it
        return LossOutputs(torch.where(batch.mask, divergence, 0).sum())
