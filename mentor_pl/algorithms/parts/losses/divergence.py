"""What policy and expert differ by at the tokens that were visited, over the whole vocabulary.

    reverse    Σ_t KL(π_θ ‖ π*)    seeks a mode of the expert: on-policy distillation
    forward    Σ_t KL(π* ‖ π_θ)    covers all that the expert might say

The gradient is that of the divergence at a prefix, not through the choice of prefixes, and no reward is in it. The mean
runs over the tokens that are trained on; which they are is the algorithm's `train_mask`.

Shapes: B rollouts, T response tokens.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs, Need
from mentor_pl.algorithms.parts.losses.token_mean import TokenMean


class Divergence(TokenMean):
    """KL between policy and expert.

    Args:
        kind: `reverse` is KL(π_θ ‖ π*), `forward` is KL(π* ‖ π_θ).
        coefficient: what the term counts for.

    Raises:
        UsageError: for a negative coefficient.
    """

    def __init__(self, kind: Literal["reverse", "forward"] = "reverse", coefficient: float = 1.0) -> None:
        self.kind, self.name = kind, f"{kind}_kl"
        super().__init__(coefficient)
        self.needs = frozenset({Need.REVERSE_KL if kind == "reverse" else Need.FORWARD_KL})

    def values(self, batch: LossInputs) -> Tensor:
        divergence = batch.reverse_kl if self.kind == "reverse" else batch.forward_kl  # [B, T]
        assert divergence is not None  # `needs` asks for it
        return divergence
