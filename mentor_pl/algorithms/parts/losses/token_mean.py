"""A term that is the mean of one number at each token that is trained on, whatever the rollouts are worth.

    (Σ_t value_t) / (trained tokens of the mini-batch)

Shapes: B rollouts, T response tokens.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs, LossOutputs, Term, Tokens
from mentor_pl.runtime.ranges import check


class TokenMean(Term):
    """A subclass has a name and says the number.

    Args:
        coefficient: what the term counts for.

    Raises:
        UsageError: for a negative coefficient.
    """

    def __init__(self, coefficient: float = 1.0) -> None:
        check(f"{self.name} coefficient", coefficient, at_least=0, because="what the term stands for is to be reached")
        self.coefficient = coefficient

    @abstractmethod
    def values(self, batch: LossInputs) -> Tensor:
        """The number at each token, [B, T]; outside the mask it counts for nothing, whatever it is."""

    def weight(self, tokens: Tokens) -> Tensor:
        return tokens.mask.sum()

    def __call__(self, batch: LossInputs) -> LossOutputs:
        return LossOutputs(torch.where(batch.mask, self.values(batch), 0).sum())
