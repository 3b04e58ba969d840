"""A bonus for uncertainty: −H_t in nats, the mean over the tokens that are trained on.

Shapes: B rollouts, T response tokens.
"""

from __future__ import annotations

from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs, LossOutputs, Term, Tokens
from mentor_pl.runtime.ranges import check


class EntropyBonus(Term):
    """Raises the policy's entropy.

    Args:
        coefficient: what it counts for.

    Raises:
        UsageError: for a negative coefficient.
    """

    name = "entropy_bonus"

    def __init__(self, coefficient: float = 0.001) -> None:
        check("entropy bonus coefficient", coefficient, at_least=0, because="it raises the entropy")
        self.coefficient = coefficient

    def weight(self, tokens: Tokens) -> Tensor:
        return tokens.mask.sum()

    def __call__(self, batch: LossInputs) -> LossOutputs:
        return LossOutputs(-(batch.entropies * batch.mask).sum())
