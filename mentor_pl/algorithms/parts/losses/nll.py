"""Behaviour cloning: −log π_θ(y_t), the mean over the tokens that are trained on.

Shapes: B rollouts, T response tokens.
"""

from __future__ import annotations

from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs
from mentor_pl.algorithms.parts.losses.token_mean import TokenMean


class NegativeLogLikelihood(TokenMean):
    """Next-token loss, whatever the rollouts are worth; arguments of `TokenMean`."""

    name = "nll"

    def values(self, batch: LossInputs) -> Tensor:
        return -batch.logprobs
