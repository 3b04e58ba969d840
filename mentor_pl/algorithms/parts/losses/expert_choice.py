"""The likelihood of the expert's choices: −log π_θ(c_t), c_t = argmax π* at the policy's own prefix.

Shapes: B rollouts, T response tokens.
"""

from __future__ import annotations

from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs, Need
from mentor_pl.algorithms.parts.losses.token_mean import TokenMean


class ExpertChoice(TokenMean):
    """The mean over all tokens that are trained on; it counts for coefficient · α. Arguments of `TokenMean`."""

    name = "expert_choice"
    needs = frozenset({Need.CHOICE_LOGPROBS})

    def strength(self, alpha: float) -> float:
        return self.coefficient * alpha

    def values(self, batch: LossInputs) -> Tensor:
        assert batch.choice_logprobs is not None
        return -batch.choice_logprobs
