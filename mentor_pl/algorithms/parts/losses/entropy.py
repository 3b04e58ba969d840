"""A bonus for uncertainty: −H_t in nats, the mean over the tokens that are trained on.

Shapes: B rollouts, T response tokens.
"""

from __future__ import annotations

from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs
from mentor_pl.algorithms.parts.losses.token_mean import TokenMean


class EntropyBonus(TokenMean):
    """Raises the policy's entropy.

    Args:
        coefficient: what it counts for.

    Raises:
        UsageError: for a negative coefficient.
    """

    name = "entropy_bonus"

    def __init__(self, coefficient: float = 0.001) -> None:
        super().__init__(coefficient)

    def values(self, batch: LossInputs) -> Tensor:
        return -batch.entropies
