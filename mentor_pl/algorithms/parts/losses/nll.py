"""Behaviour cloning: −log π_θ(y_t), the mean over the tokens that are trained on.

Shapes: B rollouts, T response tokens.
"""

from __future__ import annotations

from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs, LossOutputs, Term, Tokens
from mentor_pl.runtime.ranges import check


class NegativeLogLikelihood(Term):
    """Next-token loss, whatever the rollouts are worth.

    Args:
        coefficient: what it counts for.

    Raises:
        UsageError: for a negative coefficient.
    """

    name = "nll"

    def __init__(self, coefficient: float = 1.0) -> None:
        check("loss coefficient", coefficient, at_least=0, because="a likelihood is raised")
        self.coefficient = coefficient

    def weight(self, tokens: Tokens) -> Tensor:
        return tokens.mask.sum()

    def __call__(self, batch: LossInputs) -> LossOutputs:
        return LossOutputs(-(batch.logprobs * batch.mask).sum())
