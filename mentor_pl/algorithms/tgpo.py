"""TGPO: on-policy RL that also learns what the expert would say at the policy's own prefixes. arXiv 2605.13230.

    loss = GRPO's − λ α · mean over tokens of log π_θ(c_t | y_<t),   c_t = argmax π*(· | y_<t),   λ = 0.02

α falls from 1 to 0, and at 0 no expert reads along. Derived from a summary: the mean is over the tokens of the
mini-batch, as GRPO's is here, and λ's decay is α's schedule.
"""

from __future__ import annotations

from collections.abc import Sequence

from mentor_pl.algorithms.on_policy import OnPolicy
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.losses.expert_choice import ExpertChoice
from mentor_pl.runtime.ranges import check


class TGPO(OnPolicy):
    """GRPO with the likelihood of the expert's choices.

    Args:
        group_size: G, rollouts of each problem; at least 2.
        loss: by default `ClippedSurrogate`.
        eps: added to the standard deviation.
        weight: λ; 0 is GRPO.

    Raises:
        UsageError: for a group below 2, a negative eps or λ.
    """

    uses_alpha = True

    def __init__(self, group_size: int = 8, loss: Term | None = None, eps: float = 1e-6, weight: float = 0.02) -> None:
        super().__init__(group_size, loss, eps)
        check("algorithm weight", weight, at_least=0, because="it pulls towards the expert's choices")
        self.weight = weight

    def terms(self) -> Sequence[Term]:
        return [self.loss, ExpertChoice(self.weight)]
