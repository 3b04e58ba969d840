"""KDRL: on-policy RL that stays near the expert. arXiv 2506.02208.

    loss = GRPO's + β · mean over tokens of KL(π_θ ‖ π*),   β = 0.002

Derived from a summary: the divergence is over the whole vocabulary and not an estimate from the drawn token, β is
constant, and GRPO is this project's (clip-higher, token-level mean).
"""

from __future__ import annotations

from collections.abc import Sequence

from mentor_pl.algorithms.on_policy import OnPolicy
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.losses.divergence import Divergence
from mentor_pl.runtime.ranges import check


class KDRL(OnPolicy):
    """GRPO with a divergence from the expert.

    Args:
        group_size: G, rollouts of each problem; at least 2.
        loss: by default `ClippedSurrogate`.
        eps: added to the standard deviation.
        beta: β; 0 is GRPO.

    Raises:
        UsageError: for a group below 2, a negative eps or β.
    """

    def __init__(self, group_size: int = 8, loss: Term | None = None, eps: float = 1e-6, beta: float = 0.002) -> None:
        super().__init__(group_size, loss, eps)
        check("algorithm beta", beta, at_least=0, because="it pulls towards the expert")
        self.beta = beta

    def terms(self) -> Sequence[Term]:
        return [self.loss, Divergence("reverse", self.beta)]
