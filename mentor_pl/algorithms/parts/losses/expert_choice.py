"""The likelihood of the expert's choices: −log π_θ(c_t), c_t = argmax π* at the policy's own prefix.

Shapes: B rollouts, T response tokens.
"""

from __future__ import annotations

from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs, LossOutputs, Need, Term, Tokens
from mentor_pl.runtime.ranges import check


class ExpertChoice(Term):
    """The mean over all tokens that are trained on; it counts for coefficient · α.

    Args:
        coefficient: what the term counts for.

    Raises:
        UsageError: for a negative coefficient.
    """

    name = "expert_choice"
    needs = frozenset({Need.CHOICE_LOGPROBS})

    def __init__(self, coefficient: float = 1.0) -> None:
        check("expert choice coefficient", coefficient, at_least=0, because="the choices are to become likelier")
        self.coefficient = coefficient

    def strength(self, alpha: float) -> float:
        return self.coefficient * alpha

    def weight(self, tokens: Tokens) -> Tensor:
        return tokens.mask.sum()

    def __call__(self, batch: LossInputs) -> LossOutputs:
        assert batch.choice_logprobs is not None
        return LossOutputs(-(batch.choice_logprobs * batch.mask).sum())
